"""A real systemd as PID 1 of a container, on an overlay of this machine's own root.

Everything written goes to a tmpfs and is gone at the end; nothing is mounted in this machine's
own mount namespace, and the container has no network. It takes root and systemd itself, no
systemd-nspawn: `unshare` makes the namespaces, with the file systems mounted by hand.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import IO

SYSTEMD = Path("/lib/systemd/systemd")
MEMORY = Path("/dev/shm")  # noqa: S108 (overlay's upper folder must not lie below its lower one, /)
PREFIX = "hotpixeld-box-"
PROGRAMS = ("nsenter", "unshare", "setpriv", "pivot_root", "mount")

# Moves itself into a group of its own in each hierarchy that is written to, the roots inside.
_LAUNCH = r"""
set -eu
name=$1 root=$2 inside=$3
while IFS=: read -r _ controllers path; do
  tree=/sys/fs/cgroup
  if [ -d $tree/unified ]; then
    case $controllers in
      "") tree=$tree/unified ;;
      name=systemd) tree=$tree/systemd ;;
      memory|pids) tree=$tree/$controllers ;;
      *) continue ;;
    esac
  elif [ -n "$controllers" ]; then
    continue
  fi
  mkdir -p "$tree${path%/}/$name"; echo $$ > "$tree${path%/}/$name/cgroup.procs"
done <<< "$(cat /proc/self/cgroup)"
exec unshare --pid --fork --kill-child --mount --propagation private --uts --ipc --net --cgroup \
  bash -c "$inside" inside "$root"
"""

# What a container is given: its own /proc, /dev and cgroups, nothing of the machine to write to.
_INSIDE = r"""
set -eu
root=$1
hybrid=$([ -d /sys/fs/cgroup/unified ] && echo yes || echo no)
mount -t overlay overlay -o "lowerdir=/,upperdir=${root%/*}/upper,workdir=${root%/*}/scratch" $root
mount -t proc -o nosuid,nodev,noexec proc $root/proc
mount --bind $root/proc/sys $root/proc/sys
mount -o remount,bind,ro $root/proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs $root/sys
if [ $hybrid = yes ]; then
  mount -t tmpfs -o mode=755 tmpfs $root/sys/fs/cgroup
  mkdir $root/sys/fs/cgroup/{unified,systemd}
  mount -t cgroup2 cgroup2 $root/sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd,xattr cgroup $root/sys/fs/cgroup/systemd
  while IFS=: read -r _ controllers _; do
    case $controllers in ""|name=*) continue ;; esac
    tree=$root/sys/fs/cgroup/$controllers
    mkdir $tree
    mount -t cgroup -o $controllers cgroup $tree
    case $controllers in memory|pids) ;; *) mount -o remount,bind,ro $tree ;; esac
  done < /proc/self/cgroup
else
  mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs $root/dev
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<< "$device"
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir $root/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $root/dev/shm
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $root/tmp
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs $root/run
pivot_root $root $root/mnt
cd /
umount -l /mnt
exec setpriv --bounding-set \
  -sys_module,-sys_rawio,-sys_time,-syslog,-mac_admin,-mac_override,-wake_alarm,-block_suspend \
  env -i container=box PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system
"""


def why_not() -> str:
    """Say why no box can be booted here; empty: it can."""
    if os.geteuid():
        return "not root"
    for program in PROGRAMS:
        if not shutil.which(program):
            return f"{program} is not installed"
    if not SYSTEMD.exists():
        return f"there is no {SYSTEMD}"
    if not MEMORY.is_dir():
        return f"there is no {MEMORY}"
    hybrid = Path("/sys/fs/cgroup/unified").is_dir()
    if not hybrid and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "there are no cgroups of version 2"
    with tempfile.TemporaryDirectory(prefix="hotpixeld-trial-", dir=MEMORY) as work:
        group = f"{'systemd/' if hybrid else ''}{Path(work).name}"
        trial = 'mkdir "$1"/{u,w,m}; mount -t tmpfs t "$1"/m; mount -t overlay o "$1"/m '
        trial += '-o "lowerdir=/,upperdir=$1/u,workdir=$1/w"; mkdir "/sys/fs/cgroup/$2"; '
        trial += 'rmdir "/sys/fs/cgroup/$2"'
        made = subprocess.run(
            [
                *("unshare", "--pid", "--fork", "--mount", "--net", "--cgroup"),
                *("bash", "-ec", trial, "trial", work, group),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return made.stderr.strip().rpartition("\n")[2] if made.returncode else ""


class Box:
    """A container whose root outlives a reboot; `close` it at the end."""

    def __init__(self) -> None:
        _sweep()
        self.work = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))
        self.name = self.work.name
        self.upper = self.work / "upper"
        hidden = ("etc/systemd/system", "etc/init.d", "var/log/journal")
        for folder in ("root", "scratch", "upper", *(f"upper/{name}" for name in hidden)):
            (self.work / folder).mkdir(parents=True, mode=0o755)
        self.work.chmod(0o755)
        # None of this machine's own services: an opaque folder hides what lies below.
        for name in hidden:
            os.setxattr(self.upper / name, "trusted.overlay.opaque", b"y")
        (self.upper / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        self._console: IO[bytes] = (self.work / "console").open("ab")
        self._launched: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def boot(self, timeout_s: float = 60) -> None:
        """Boot, and return when systemd says that all is started."""
        self._launched = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "bash", "-c", _LAUNCH, "launch"),
                *(self.name, str(self.work / "root"), _INSIDE),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=self._console,
        )
        deadline = time.monotonic() + timeout_s
        said = ""
        while said not in {"running", "degraded"}:
            assert time.monotonic() < deadline, f"{said}\n{self._said()}"
            assert self._launched.poll() is None, self._said()
            time.sleep(0.05)
            pid = self._launched.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            self.leader = int(children[0]) if children else 0
            if self.leader and Path(f"/proc/{self.leader}/comm").read_text() == "systemd\n":
                said = self.run("systemctl is-system-running --wait 2>&-", check=False)

    def run(self, command: str, *, check: bool = True, timeout_s: float = 90) -> str:
        """Run a shell command inside and return its output, errors included."""
        done = subprocess.run(
            [
                *("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"),
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

    def seen_from_outside(self, path: str) -> Path:
        """Return where a path of the running container is found in this process."""
        return Path(f"/proc/{self.leader}/root{path}")

    def wait_until(self, command: str, timeout_s: float = 30) -> None:
        """Wait until ``command`` succeeds inside."""
        script = f"until {command}; do sleep 0.1; done"
        quoted = "'" + script.replace("'", "'\\''") + "'"
        said = self.run(f"timeout {timeout_s} bash -c {quoted} 2>&1 || echo not in time")
        assert "not in time" not in said, f"not within {timeout_s} s: {command}\n{said[-2000:]}"

    def power_off(self) -> None:
        """End it in order, as a shut-down does."""
        if self._launched is None:
            return
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGRTMIN + 4)
        try:
            self._launched.wait(60 if self.leader else 0)
        except subprocess.TimeoutExpired:
            self._launched.kill()  # takes the init of the container, and with it everything inside
            self._launched.wait(10)
        self._launched = None
        self.leader = 0

    def close(self) -> None:
        """Power off and remove every trace."""
        self.power_off()
        self._console.close()
        _remove(self.work)

    def _said(self) -> str:
        return (self.work / "console").read_text()[-4000:]


def _sweep() -> None:
    """Remove what a run that was killed has left; its processes have died with it."""
    for work in MEMORY.glob(f"{PREFIX}*"):
        if not Path("/proc", work.name.removeprefix(PREFIX).partition("-")[0]).exists():
            _remove(work)


def _remove(work: Path) -> None:
    for group in Path("/sys/fs/cgroup").glob(f"**/{work.name}"):
        for inner, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(inner).rmdir()
    shutil.rmtree(work, ignore_errors=True)
