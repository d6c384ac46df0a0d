"""A Debian with git, make and python3, nothing else and no compiler, thrown away at the end.

Made by debootstrap and entered by chroot, with process ids and mounts of its own, so that nothing
that was started in it outlives it. It reaches the package index as this machine's pip does.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

SUITE = "bookworm"
PACKAGES = "git,make,python3,python3-venv"
MADE = "HOTPIXELD_CLEAN_ROOT"  # a root that was made before and is copied: it saves some minutes
PROGRAMS = ("debootstrap", "unshare", "nsenter", "setpriv", "chroot")
# How this machine reaches the network and trusts it; none of it belongs to the project.
HANDED_ON = re.compile(
    r"(PIP_|SSL_|REQUESTS_|CURL_CA|https?_proxy$|no_proxy$|all_proxy$)", re.IGNORECASE
)
PLACES = re.compile(r"(?:file://|(?<=[\s='\"]))(/[^\s'\"]+)")

_HOLD = r"""
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for place; do
  if [ -d "$place" ]; then mkdir -p "$root$place"; else
    mkdir -p "$root${place%/*}"; [ -e "$root$place" ] || : > "$root$place"; fi
  mount --rbind -o ro "$place" "$root$place"
done
echo ready
exec sleep infinity
"""


def why_not() -> str:
    """Say why no clean root can be made here; empty: it can."""
    if os.geteuid():
        return "not root"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return f"{missing[0]} is not installed" if missing else ""


class CleanRoot:
    """The root while the block lasts; ``folder`` is where it lies, seen from outside."""

    def __init__(self) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="hotpixeld-cleanroot-"))
        self.folder = self.work / "root"
        self.work.chmod(0o755)
        self._holder: subprocess.Popen[str] | None = None
        self._inner = 0
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._make()
            self._hold()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _make(self) -> None:
        made = os.environ.get(MADE)
        if made:
            subprocess.run(["cp", "-a", made, str(self.folder)], check=True, timeout=300)
            return
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE]
        subprocess.run([*command, str(self.folder)], check=True, timeout=1200)

    def _hold(self) -> None:
        """Start the process in whose namespaces everything is run."""
        shutil.copyfile("/etc/resolv.conf", self.folder / "etc/resolv.conf")
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation"]
        command += ["private", "--pid", "--fork", "--kill-child", "bash", "-c", _HOLD, "hold"]
        self._holder = subprocess.Popen(
            [*command, str(self.folder), *map(str, _pip_places())],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        pid = self._holder.pid
        self._inner = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def command(self, text: str) -> list[str]:
        """Return the command that runs ``text`` inside, in the home of its root."""
        enter = ["nsenter", "-t", str(self._inner), "--mount", "--pid", "--"]
        handed = [f"{key}={value}" for key, value in os.environ.items() if HANDED_ON.match(key)]
        clean = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", *handed]
        clean += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        return [*enter, "chroot", str(self.folder), *clean, "bash", "-c", f"cd && {text}"]

    def run(
        self, text: str, *, check: bool = True, timeout_s: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside to its end."""
        done = subprocess.run(
            self.command(text),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{text}:\n{done.stdout}"
        return done

    def start(self, text: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a shell command inside; it ends with the root at the latest."""
        with log.open("wb") as said:
            process = subprocess.Popen(
                self.command(text), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what runs inside and remove it."""
        if self._holder is not None:
            self._holder.kill()  # and with it the init of the process ids inside
            self._holder.communicate()
        for process in self._started:
            process.wait(30)
        shutil.rmtree(self.work)


def _pip_places() -> list[Path]:
    """Return the files and folders on this machine that its pip is configured with."""
    asked = [shutil.which("pip3") or "pip3", "config"]
    told = ""
    if shutil.which(asked[0]):
        for what in ("list", "debug"):
            told += subprocess.run(
                [*asked, what], capture_output=True, text=True, check=False
            ).stdout
    told += "".join(f" {value}" for key, value in os.environ.items() if HANDED_ON.match(key))
    found = {Path(place.rstrip(",:")) for place in PLACES.findall(told)}
    # An index on disk (PEP 503) often has its files beside its folder "simple".
    kept = {path.parent if path.name == "simple" else path for path in found if path.exists()}
    return sorted(path for path in kept if not any(other in kept for other in path.parents))
