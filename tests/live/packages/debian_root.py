# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian 12 of its own in a folder: debootstrap's smallest with systemd, booted in namespaces of its own, without a network.

Where it comes from, the machine's own apt says. What it needs besides is fetched once and kept with it, as an archive of its own, in one
tar file, so that a second run needs no network and starts in seconds. Needs root; Impossible says what else is missing.
"""

import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

PATIENCE_S = 120  # before a test gives up on a machine that is busy; nothing is measured with it
SUITE = "bookworm"
NAME = "mail.example.test"
PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}

# What a container manager does before it starts systemd. $1 is the root. The host's files stay in sight of nsenter, not of systemd.
BOOT = """set -e
mount --make-rprivate /
cd "$1"
mount --bind . .
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount -t tmpfs tmpfs dev/shm
exec env -i container=postern-test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --log-target=console
"""


class Impossible(Exception):
    """This machine cannot do it, whatever is installed."""


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=10 * PATIENCE_S, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


def sources():
    """Lines for sources.list: what the machine's apt has of this Debian. The first is the release itself."""
    targets = run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)", "Identifier: Packages")
    found = []
    for line in targets.splitlines():
        origin, release, address, component = line.split("|")
        if origin == "Debian" and release.split("-")[0] == SUITE and component == "main":
            found.append((release != SUITE, release, address))
    found.sort()
    if not found or found[0][0]:
        raise Impossible(f"apt on this machine knows no archive of Debian 12 ({SUITE}), so there is nowhere to get one from")
    return [f"deb {address} {release} main" for _, release, address in found]


def base(cache, packages):
    """The tar file of a root that has all that these package files depend on, not installed yet but at hand."""
    own = tuple(package.name.split("_")[0] for package in packages)
    wanted = {entry for package in packages for entry in run("dpkg-deb", "-f", package, "Depends").strip().split(", ") if not entry.startswith(own)}
    lines = sources()
    key = hashlib.sha256("\n".join([*lines, *sorted(wanted), pathlib.Path(__file__).read_text()]).encode()).hexdigest()[:12]
    tar = cache / f"debian-root-{key}.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob("debian-root-*"):
            old.unlink()
        make_base(tar, lines, packages)
    return tar


def make_base(tar, lines, packages):
    folder = tar.with_suffix(".new")
    shutil.rmtree(folder, ignore_errors=True)
    _, mirror, _, _ = lines[0].split()
    # apt itself could not speak TLS to an archive without certificates.
    include = "systemd,ca-certificates" if mirror.startswith("https:") else "systemd"
    try:
        run("debootstrap", "--variant=minbase", f"--include={include}", SUITE, folder, mirror)
    except AssertionError as failure:
        shutil.rmtree(folder, ignore_errors=True)
        raise Impossible(f"debootstrap failed: {failure}") from failure
    (folder / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    (folder / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n")
    run("chroot", folder, "apt-get", "update", env=PLAIN)
    for package in packages:
        shutil.copy(package, folder / "tmp")
    run("chroot", folder, "apt-get", "install", "-y", "--no-install-recommends", "--download-only",
        *(f"/tmp/{package.name}" for package in packages), env=PLAIN)
    for package in packages:
        (folder / "tmp" / package.name).unlink()
    keep_archive(folder)
    run("tar", "-C", folder, "-cf", f"{tar}.part", ".")
    os.rename(f"{tar}.part", tar)
    shutil.rmtree(folder)


def keep_archive(folder):
    """What apt has fetched is all that it knows from here on: its lists of all of Debian are larger than the rest of the root."""
    archives = folder / "var/cache/apt/archives"
    (archives / "Packages").write_text(run("dpkg-scanpackages", ".", cwd=archives))
    (folder / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/var/cache/apt/archives ./\n")
    shutil.rmtree(folder / "var/lib/apt/lists")
    run("chroot", folder, "apt-get", "update", env=PLAIN)


def cgroups():
    """Where cgroups of the second version are mounted."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(place)
    raise Impossible("there is no cgroup2 on this machine, which systemd needs")


class DebianRoot:
    def __init__(self, tar, folder):
        """Unpacks and boots."""
        self.path = folder
        self.path.mkdir(mode=0o755)
        self.cgroup = cgroups() / f"postern-test-{os.getpid()}"
        self.log = folder.with_suffix(".log")
        self.process = self.init = None
        run("tar", "-C", self.path, "-xf", tar)
        (self.path / "etc/hostname").write_text(NAME + "\n")
        (self.path / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {NAME} mail\n::1 localhost\n")
        self.boot()

    def boot(self):
        try:
            self.cgroup.mkdir()
        except OSError as failure:
            raise Impossible(f"no cgroup can be made, which systemd needs: {failure}") from failure
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "--uts", "--ipc", "--kill-child", "sh", "-c", BOOT, "boot", self.path],
                preexec_fn=self.go_in, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Impossible(f"systemd does not start in namespaces of its own: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def go_in(self):
        """In the child: its cgroup is what systemd will take for the whole tree. It does not outlive the test."""
        (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    def is_up(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            return False
        self.init = children[0]
        return self.try_to("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def command(self, *words):
        return ["nsenter", "-t", self.init, "-m", "-p", "-C", "-n", "-u", "-i", "chroot", str(self.path), *map(str, words)]

    def try_to(self, *words, **options):
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=PLAIN, **options)

    def run(self, *words, **options):
        """A command inside, as root; what it printed."""
        return run(*self.command(*words), env=PLAIN, **options)

    def run_beside(self, *words, **options):
        """A command of this machine that shares all with systemd inside but the root folder."""
        return run(*self.command(*words)[:-len(words) - 2], *words, env=PLAIN, **options)

    def talker(self, *words):
        """A command of this machine that has only the network from inside: a process, to be waited for."""
        return subprocess.Popen(["nsenter", "-t", self.init, "-n", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def files(self):
        """What stands in the root, but for what apt, dpkg and the running system write for themselves."""
        own = ("proc", "sys", "dev", "run", "tmp", "var/cache", "var/log", "var/tmp", "var/lib/apt", "var/lib/dpkg", "var/lib/systemd")
        skipped = [word for place in own for word in ("-path", f"./{place}", "-prune", "-o")]
        return set(run("find", ".", *skipped, "-print", cwd=self.path).splitlines())

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.cgroup.exists():
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                try:
                    for folder, _, _ in os.walk(self.cgroup, topdown=False):
                        os.rmdir(folder)
                    break
                except OSError:
                    time.sleep(0.1)  # the last processes are still on their way out
        shutil.rmtree(self.path, ignore_errors=True)
