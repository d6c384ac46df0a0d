"""The service under a real systemd, as `make install` puts it there, in full hardening.

Run by `make soak`: installing takes a minute and needs the package index.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sources import copy_sources
from systemd.box import Box, why_not

PID = "$(systemctl show hotpixeld -p MainPID --value)"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no real systemd can be booted: {why_not()}"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    source, stage = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("stage")
    copy_sources(source)
    subprocess.run(["make", "install", f"DESTDIR={stage}"], cwd=source, check=True, timeout=300)
    box = Box()
    try:
        stage.chmod(0o755)  # it becomes the root folder, which everybody must enter
        shutil.copytree(stage, box.upper, symlinks=True, dirs_exist_ok=True)
        box.boot()
        box.run("systemd-sysusers /usr/local/lib/sysusers.d/hotpixeld.conf")
        box.run("systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/hotpixeld.conf")
        config = "/etc/hotpixeld/hotpixeld.yaml"
        box.run(
            f"sed -i 's/unaffected: skip/unaffected: copy/; s/settle: 2s/settle: 200ms/' {config}"
        )
        box.run("systemctl daemon-reload && systemctl enable --now hotpixeld")
        yield box
    finally:
        box.close()


def _drop_photo(box: Box, folder: str, name: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    local = box.work / name
    Image.fromarray(values).save(local)
    box.run(f"cat > {folder}/{name} < /dev/null")
    target = Path(f"/proc/{box._leader}/root{folder}/{name}")
    shutil.copyfile(local, target)


def _show(box: Box, name: str) -> str:
    return box.run(f"systemctl show hotpixeld -p {name} --value")


def test_it_is_active_and_hardly_exposed(box: Box) -> None:
    assert box.run("systemctl is-active hotpixeld") == "active"
    assert box.run("systemd-analyze verify --man=no --recursive-errors=no hotpixeld.service") == ""
    box.run("systemd-analyze security --threshold=5 hotpixeld.service")


def test_a_dropped_photo_comes_out_and_the_import_folder_stays_read_only(box: Box) -> None:
    _drop_photo(box, "/srv/photos/import", "a.png", 1)
    box.wait_until("test -s /srv/photos/repaired/a.png")
    assert box.run("stat -c %U:%G:%a /srv/photos/repaired/a.png") == "hotpixeld:photos:640"
    refused = box.run(f"nsenter -t {PID} -m touch /srv/photos/import/b", check=False)
    assert "Read-only file system" in refused
    assert "Read-only file system" in box.run(f"nsenter -t {PID} -m touch /usr/x", check=False)


def test_the_hardening_is_in_force(box: Box) -> None:
    status = box.run(f"cat /proc/{PID}/status").splitlines()
    told = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert (told["CapEff"], told["NoNewPrivs"], told["Seccomp"]) == ("0" * 16, "1", "2")
    assert "ls: cannot open" in box.run(f"nsenter -t {PID} -m -S 65534 ls /home", check=False)
    assert box.run(f"nsenter -t {PID} -n ls /sys/class/net") != ""


def test_people_of_the_group_read_the_status_and_nobody_else_does(box: Box) -> None:
    box.run("useradd -G photos bob; useradd eve")
    as_user = "setpriv --reuid={0} --regid={0} --init-groups hotpixeld status --json"
    assert '"running": true' in box.run(as_user.format("bob"))
    told = box.run(as_user.format("eve"), check=False)
    assert told.startswith("hotpixeld: /var/lib/hotpixeld")
    assert "Permission denied" in told
    assert len(told.splitlines()) == 1


def test_a_reload_takes_new_settings_in_the_same_process(box: Box) -> None:
    before = _show(box, "MainPID")
    box.run("sed -i 's/level: info/level: debug/' /etc/hotpixeld/hotpixeld.yaml")
    box.run("systemctl reload hotpixeld")
    box.wait_until("journalctl -u hotpixeld --no-pager | grep -q 'log.level'")
    assert _show(box, "MainPID") == before


def test_killed_it_comes_back_with_its_state(box: Box) -> None:
    photos = box.run("hotpixeld photos list")
    assert "a.png" in photos
    before = _show(box, "MainPID")
    box.run(f"kill -9 {before}")
    box.wait_until(f"test {PID} != {before} && systemctl is-active -q hotpixeld")
    assert box.run("hotpixeld photos list") == photos


def test_a_hang_is_ended_by_the_watchdog(box: Box) -> None:
    folder = "/etc/systemd/system/hotpixeld.service.d"
    limits = "[Service]\\nWatchdogSec=4\\nTimeoutAbortSec=1\\n"
    box.run(f"mkdir -p {folder}; printf '{limits}' > {folder}/t.conf")
    box.run("systemctl daemon-reload; systemctl restart hotpixeld")
    before = _show(box, "MainPID")
    box.run("sleep 6")  # the watchdog's own time cannot be passed in
    assert _show(box, "MainPID") == before, "an idle daemon is alive"
    box.run(f"kill -STOP {before}")
    box.wait_until(f"test {PID} != {before} && systemctl is-active -q hotpixeld")
    assert "watchdog" in box.run("journalctl -u hotpixeld --no-pager").lower()
    box.run(f"rm {folder}/t.conf; systemctl daemon-reload; systemctl restart hotpixeld")


def test_a_bad_config_is_not_tried_again(box: Box) -> None:
    box.run("cp /etc/hotpixeld/hotpixeld.yaml /root/good")
    box.run("systemctl stop hotpixeld; echo 'stat: x' >> /etc/hotpixeld/hotpixeld.yaml")
    assert _show(box, "Result") == "success"
    box.run("systemctl start hotpixeld", check=False)
    assert (_show(box, "ExecMainStatus"), _show(box, "ActiveState")) == ("78", "failed")
    journal = box.run("journalctl -u hotpixeld --no-pager")
    assert 'unknown key, did you mean "state"?' in journal
    box.run("cp /root/good /etc/hotpixeld/hotpixeld.yaml; systemctl restart hotpixeld")


def test_folders_in_a_home_work_with_the_drop_in_and_nothing_else_of_it_is_seen(box: Box) -> None:
    box.run("mkdir -p /home/al/in /home/al/out /home/al/private; chmod 700 /home/al")
    box.run("chown root:photos /home/al/in; chmod 750 /home/al/in; chown hotpixeld /home/al/out")
    edit = "s|^import: [^ ]*|import: /home/al/in|; s|^output: [^ ]*|output: /home/al/out|"
    box.run(f"systemctl stop hotpixeld; sed -i '{edit}' /etc/hotpixeld/hotpixeld.yaml")
    folder = "/etc/systemd/system/hotpixeld.service.d"
    box.run(f"mkdir -p {folder}; rm -f {folder}/folders.conf; systemctl daemon-reload")
    box.run("systemctl start hotpixeld", check=False)
    box.wait_until("journalctl -u hotpixeld --no-pager | grep -q 'hotpixeld systemd-dropin'")
    box.run(f"hotpixeld systemd-dropin > {folder}/folders.conf")
    box.run("systemctl daemon-reload; systemctl restart hotpixeld")
    _drop_photo(box, "/home/al/in", "h.png", 2)
    box.wait_until("test -s /home/al/out/h.png")
    assert box.run(f"nsenter -t {PID} -m ls /home/al").split() == ["in", "out"]
    assert "Read-only" in box.run(f"nsenter -t {PID} -m touch /home/al/in/x", check=False)


def test_after_a_reboot_it_runs_again_and_knows_its_photos(box: Box) -> None:
    photos = box.run("hotpixeld photos list")
    box.power_off()
    box.boot()
    box.wait_until("systemctl is-active -q hotpixeld")
    assert box.run("hotpixeld photos list") == photos
    assert len(box.run("journalctl --list-boots --no-pager").splitlines()) >= 2
