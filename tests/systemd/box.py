"""A real systemd as PID 1 of a container, on an overlay of this machine's own root.

Everything written goes to a tmpfs and is gone at the end; nothing is mounted in this machine's
own mount namespace, and the container has no network. Needs root and systemd-nspawn.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

# Without a systemd outside, nspawn must not ask for a scope (--register=no --keep-unit), wants a
# tmpfs of its own under /run, and gets a cgroup below ours in each hierarchy that it needs.
_LAUNCH = r"""
set -eu
name=$1 work=$2
while IFS=: read -r _ controllers path; do
  if [ -d /sys/fs/cgroup/unified ]; then
    case $controllers in
      "") tree=unified ;;
      name=systemd) tree=systemd ;;
      memory|pids) tree=$controllers ;;
      *) continue ;;
    esac
    tree=/sys/fs/cgroup/$tree
  else
    [ -z "$controllers" ] || continue; tree=/sys/fs/cgroup
  fi
  mkdir -p "$tree${path%/}/$name"; echo $$ > "$tree${path%/}/$name/cgroup.procs"
done < <(cat /proc/self/cgroup)
mkdir -p /run/systemd/nspawn; mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn
mkdir /run/systemd/nspawn/{propagate,locks,root}; root=/run/systemd/nspawn/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" $root
exec systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --resolv-conf=off \
  --timezone=off --link-journal=no --console=pipe --notify-ready=yes --machine="$name" \
  --system-call-filter=bpf -D $root
"""


def why_not() -> str:
    """Say why no box can be booted here; empty: it can."""
    if os.geteuid():
        return "not root"
    for program in ("systemd-nspawn", "nsenter", "unshare", "setpriv"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if not os.access("/sys/fs/cgroup", os.W_OK) or not Path("/dev/shm").is_dir():  # noqa: S108
        return "no writable cgroups or no /dev/shm"
    return ""


class Box:
    """A container whose root outlives a reboot; `close` it at the end."""

    def __init__(self) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="hotpixeld-box-", dir="/dev/shm"))
        self.name = self.work.name.replace("_", "x")
        self.upper = self.work / "upper"
        for folder in ("upper", "scratch", "upper/var/log/journal", "upper/etc/systemd/system"):
            (self.work / folder).mkdir(parents=True, mode=0o755)
        self.work.chmod(0o755)
        # None of this machine's own services: an opaque folder hides what lies below.
        os.setxattr(self.upper / "etc/systemd/system", "trusted.overlay.opaque", b"y")
        os.setxattr(self.upper / "var/log/journal", "trusted.overlay.opaque", b"y")
        self._console: IO[bytes] = (self.work / "console").open("ab")
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self, timeout_s: float = 60) -> None:
        """Boot, and return when systemd says that it is ready."""
        address = self.work / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(address))
            manager.settimeout(1)
            deadline = time.monotonic() + timeout_s
            self._nspawn = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "TERM", "unshare", "--mount"),
                    *("--propagation", "private", "bash", "-c", _LAUNCH, "launch"),
                    *(self.name, str(self.work)),
                ],
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
                stdin=subprocess.DEVNULL,
                stdout=self._console,
                stderr=self._console,
            )
            message = ""
            # The socket is closed at READY: nspawn forwards later ones, and a full one blocks it.
            while "READY=1" not in message.split("\n"):
                assert time.monotonic() < deadline, (self.work / "console").read_text()[-4000:]
                assert self._nspawn.poll() is None, (self.work / "console").read_text()[-4000:]
                with contextlib.suppress(TimeoutError):
                    message = manager.recv(8192).decode()
                for line in message.splitlines():
                    if line.startswith("X_NSPAWN_LEADER_PID="):
                        self._leader = int(line.partition("=")[2])
        address.unlink()

    def run(self, command: str, *, check: bool = True, timeout_s: float = 90) -> str:
        """Run a shell command inside and return its output, errors included."""
        done = subprocess.run(
            [
                *("nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"),
                *("/usr/bin/env", "-i", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"),
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                *("/bin/bash", "-c", command),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}:\n{done.stdout}"
        return done.stdout.strip()

    def wait_until(self, command: str, timeout_s: float = 30) -> None:
        """Wait until ``command`` succeeds inside."""
        deadline = time.monotonic() + timeout_s
        script = f"until {command}; do sleep 0.1; done"
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.run(f"timeout {timeout_s} bash -c {_quoted(script)}", timeout_s=timeout_s + 5)
                return
        raise AssertionError(f"not within {timeout_s} s: {command}")

    def power_off(self) -> None:
        """End it in order, as a shut-down does."""
        if self._nspawn is None:
            return
        self._nspawn.terminate()
        try:
            self._nspawn.wait(30)
        except subprocess.TimeoutExpired:
            os.kill(self._leader, signal.SIGKILL)  # its init takes everything with it
            self._nspawn.kill()
            self._nspawn.wait(10)
        self._nspawn = None

    def close(self) -> None:
        """Power off and remove every trace."""
        self.power_off()
        self._console.close()
        for folder, _, _ in os.walk("/sys/fs/cgroup"):
            if Path(folder).name == self.name:
                for inner, _, _ in os.walk(folder, topdown=False):
                    with contextlib.suppress(OSError):
                        Path(inner).rmdir()
        shutil.rmtree(self.work, ignore_errors=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
