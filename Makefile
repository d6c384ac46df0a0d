.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# as the program sets it for itself, before numpy is imported
export OPENBLAS_NUM_THREADS := 1

.PHONY: help run test check format lint types layers bench soak docs demo clean install uninstall deb

help: ## what one can do
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/installed: pyproject.toml setup.py $(wildcard kernel/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/developed: pyproject.toml setup.py $(wildcard kernel/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/installed

run: $(VENV)/installed ## start the daemon on config.example.yaml: drop photos into photos/import
	mkdir -p photos/import
	$(BIN)/hotpixeld run -c config.example.yaml

test: $(VENV)/developed ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/developed format lint types layers test ## what CI runs: format, lint, types, layers, tests

format: $(VENV)/developed
	$(BIN)/ruff format --check .

lint: $(VENV)/developed
	$(BIN)/ruff check .

types: $(VENV)/developed
	$(BIN)/mypy

layers: $(VENV)/developed
	$(BIN)/lint-imports

bench: $(VENV)/developed ## the figures of the README, each beside its rival
	PYTHONPATH=tests $(BIN)/python -m benchmarks

soak: $(VENV)/developed ## the long sweeps
	$(BIN)/python -m pytest -m soak --timeout 7200

docs: $(VENV)/installed ## make the man pages and completions from the commands and the schema
	$(BIN)/python -m hotpixeld.cli.manual .

demo: $(VENV)/developed ## a fake camera with a stuck pixel, before and after
	PYTHONPATH=tests $(BIN)/python tests/demo.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# --- as a system service (root). DESTDIR= stages the files elsewhere and touches no system.
# /usr/bin/python3: a virtual environment of a Python in somebody's home cannot be read by a service.
SYSTEM_PYTHON ?= /usr/bin/python3
OPT := $(DESTDIR)/opt/hotpixeld
ETC := $(DESTDIR)/etc/hotpixeld
PREFIX ?= /usr/local
# What pip installs: these sources, or a wheel made of them.
PACKAGE ?= .
LOCAL := $(DESTDIR)$(PREFIX)
SHARE := $(LOCAL)/share
UNIT_FOLDER ?= /etc/systemd/system
UNITS := $(DESTDIR)$(UNIT_FOLDER)
DROP_INS := $(DESTDIR)/etc/systemd/system/hotpixeld.service.d
LIVE := test -z "$(DESTDIR)" && test -d /run/systemd/system

install: ## as a system service: /opt/hotpixeld, config in /etc/hotpixeld (never overwritten), systemd unit
	$(SYSTEM_PYTHON) -m venv $(OPT)/venv
	$(OPT)/venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade $(PACKAGE)
	sed -i '1s|^#!.*|#!/opt/hotpixeld/venv/bin/python|' $(OPT)/venv/bin/hotpixeld
	install -d $(LOCAL)/bin $(UNITS) $(DROP_INS)
	ln -sfn /opt/hotpixeld/venv/bin/hotpixeld $(LOCAL)/bin/hotpixeld
	install -D -m 644 systemd/hotpixeld.service $(UNITS)/hotpixeld.service
	install -D -m 644 systemd/hotpixeld.sysusers $(LOCAL)/lib/sysusers.d/hotpixeld.conf
	install -D -m 644 systemd/hotpixeld.tmpfiles $(LOCAL)/lib/tmpfiles.d/hotpixeld.conf
	install -D -m 644 docs/man/hotpixeld.1 $(SHARE)/man/man1/hotpixeld.1
	install -D -m 644 docs/man/hotpixeld.yaml.5 $(SHARE)/man/man5/hotpixeld.yaml.5
	install -D -m 644 completions/hotpixeld.bash $(SHARE)/bash-completion/completions/hotpixeld
	install -D -m 644 completions/_hotpixeld $(SHARE)/zsh/site-functions/_hotpixeld
	install -D -m 644 completions/hotpixeld.fish $(SHARE)/fish/vendor_completions.d/hotpixeld.fish
	install -D -m 644 config.schema.json $(ETC)/config.schema.json
	test -e $(ETC)/hotpixeld.yaml || sed -E \
	  -e 's|^import: [^ ]+|import: /srv/photos/import|' \
	  -e 's|^output: [^ ]+|output: /srv/photos/repaired|' \
	  -e 's|^state: [^ ]+|state: /var/lib/hotpixeld|' \
	  config.example.yaml > $(ETC)/hotpixeld.yaml
	chmod 644 $(ETC)/hotpixeld.yaml
	test -n "$(DESTDIR)" || systemd-sysusers /usr/local/lib/sysusers.d/hotpixeld.conf
	test -n "$(DESTDIR)" || systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/hotpixeld.conf
	test -n "$(DESTDIR)" || $(OPT)/venv/bin/python -m hotpixeld systemd-dropin -c $(ETC)/hotpixeld.yaml \
	  > $(DROP_INS)/folders.conf.new
	test -n "$(DESTDIR)" || mv $(DROP_INS)/folders.conf.new $(DROP_INS)/folders.conf
	if $(LIVE); then systemctl daemon-reload && systemctl try-restart hotpixeld; fi
	@echo 'Installed. Start it now and at each boot: systemctl enable --now hotpixeld'
	@echo 'Who may drop and read photos: adduser NAME photos. Config: /etc/hotpixeld/hotpixeld.yaml'

deb: ## a Debian package in dist/: the installed tree as it is, for this machine's Python and architecture
	rm -rf build/deb
	$(MAKE) install DESTDIR=$(CURDIR)/build/deb PREFIX=/usr UNIT_FOLDER=/lib/systemd/system
	packaging/deb build/deb dist

uninstall: ## take the service away; config, state and copies stay
	if $(LIVE); then systemctl disable --now hotpixeld; fi
	rm -rf $(OPT)/venv $(DROP_INS)/folders.conf
	rm -f $(UNITS)/hotpixeld.service $(LOCAL)/bin/hotpixeld
	rm -f $(LOCAL)/lib/sysusers.d/hotpixeld.conf $(LOCAL)/lib/tmpfiles.d/hotpixeld.conf
	rm -f $(SHARE)/man/man1/hotpixeld.1 $(SHARE)/man/man5/hotpixeld.yaml.5
	rm -f $(SHARE)/bash-completion/completions/hotpixeld $(SHARE)/zsh/site-functions/_hotpixeld
	rm -f $(SHARE)/fish/vendor_completions.d/hotpixeld.fish
	rmdir --ignore-fail-on-non-empty $(OPT) $(DROP_INS) 2>/dev/null || true
	if $(LIVE); then systemctl daemon-reload; fi
	@echo 'Left as they are: /etc/hotpixeld, /var/lib/hotpixeld, the copies, the user hotpixeld'
