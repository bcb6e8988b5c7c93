# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of a build: made, installed in a Debian that has nothing else, used, upgraded, removed and purged.

Usage: packages_test.py SOURCE BUILD [Class.test ...]. The Debian is kept as a tar file in BUILD; see debian_root.py. The tests of Life are
steps of one story and rest on those before them.
"""

import atexit
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import debian_root
from debian_root import NAME, PATIENCE_S, DebianRoot, Impossible, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gate"))
import tap  # noqa: E402
from programs import wait_until  # noqa: E402

SOURCE = BUILD = None  # set by the main program
NAMES = ("postern", "postern-auth", "libpostern-helper1", "postern-dev", "postern-perf")
OLD, NEW = "0.5.0-1", "0.9.0-1"
USER, PASSWORD = "joe@example.test", "open sesame"

# A mail program of this machine, which trusts the installed certificate and nothing else. It stays, if asked to, until it is sent away.
MAIL_PROGRAM = """
import imaplib, ssl, sys
certificate, name, user, password, *stay = sys.argv[1:]
class Mail(imaplib.IMAP4):
    def _create_socket(self, timeout):
        return ssl.create_default_context(cafile=certificate).wrap_socket(super()._create_socket(timeout), server_hostname=name)
mail = Mail("127.0.0.1", 993, 60)
print(mail.welcome.decode())
try:
    print(mail.login(user, password)[0])
except imaplib.IMAP4.error as refusal:
    print(refusal)
    sys.exit()
if stay:
    print("here", flush=True)
    print(mail.readline().decode())
    sys.exit()
print(mail.select("INBOX")[0], mail.logout()[0])
"""

work = None
old, new, rpms = {}, {}, {}  # name -> file


def setUpModule():
    global work
    folder = tempfile.TemporaryDirectory(prefix="postern-packages-")
    atexit.register(folder.cleanup)
    work = pathlib.Path(folder.name)
    before = set(SOURCE.iterdir())
    # These ask lintian and rpmlint, and fail on what those find.
    old.update(make("build-deb", SOURCE, OLD))
    rpms.update(make("build-rpm", checkout_without_git(), NEW))
    (work / "new").mkdir()
    new.update({name: newer(old[name]) for name in ("postern", "postern-auth", "postern-perf")})
    if set(SOURCE.iterdir()) != before:
        raise AssertionError(f"making packages left something in the checkout: {set(SOURCE.iterdir()) - before}")


def make(program, source, version):
    """Files by the names of their packages."""
    printed = run(source / "packaging" / program, "--built", BUILD, "--output", work / program, "--version", version, "--wolfssl",
                  (SOURCE / "subprojects/wolfssl-prefix").resolve())
    files = [pathlib.Path(line) for line in printed.split("done:\n")[1].split()]
    ask = ("dpkg-deb", "-f") if program == "build-deb" else ("rpm", "-qp", "--queryformat", "%{name}")
    return {run(*ask, file, *(["Package"] if program == "build-deb" else [])).strip(): file for file in files}


def checkout_without_git():
    checkout = work / "checkout"
    shutil.copytree(SOURCE / "packaging", checkout / "packaging", symlinks=True)
    shutil.copytree(SOURCE / "subprojects" / "wolfssl", checkout / "subprojects" / "wolfssl")
    for name in ("meson.build", "README.md", "COPYING"):
        shutil.copy(SOURCE / name, checkout)
    return checkout


def newer(package):
    """The same again, as a version whose configuration files have changed. Building it anew would take its time and show nothing else."""
    folder, file = work / "unpacked" / package.name, work / "new" / package.name.replace(OLD, NEW)
    folder.parent.mkdir(exist_ok=True)
    run("dpkg-deb", "--raw-extract", package, folder)
    control = folder / "DEBIAN" / "control"
    control.write_text(control.read_text().replace(f"Version: {OLD}\n", f"Version: {NEW}\n"))
    for configuration in folder.glob("etc/postern/*.toml"):
        with open(configuration, "a", encoding="utf-8") as text:
            text.write("# A remark of the newer version.\n")
    run("dpkg-deb", "-Zgzip", "--root-owner-group", "--build", folder, file)
    return file


class Made(unittest.TestCase):
    def test_all_packages_of_both_kinds(self):
        for kind in (old, rpms):
            self.assertEqual(set(kind), set(NAMES))

    def test_both_kinds_have_the_same_files(self):
        for name in NAMES:
            with self.subTest(package=name):
                listed = run("dpkg-deb", "-c", old[name])
                in_deb = {line.split()[5].removeprefix(".") for line in listed.splitlines() if not line.startswith("d")}
                kinds = run("rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\n]", rpms[name])
                in_rpm = {line.split()[1] for line in kinds.splitlines() if not line.startswith("d")}
                self.assertEqual({path for path in map(without_habits, in_deb) if path}, {path for path in map(without_habits, in_rpm) if path})

    def test_every_manual_page(self):
        pages = {page.name for folder in (SOURCE / "packaging" / "man", SOURCE / "perf") for page in folder.glob("*.[1-8]")} | {"postern.toml.5"}
        listed = "".join(run("dpkg-deb", "-c", file) for file in old.values())
        self.assertEqual({page for page in pages if f"/{page}.gz" not in listed}, set(), "not installed; if new, configure the build again")

    def test_a_helper_is_built_with_postern_dev(self):
        """The example that it brings, as its first lines say, with the shared library and with the other one."""
        unpacked = work / "sdk"
        for name in ("postern-dev", "libpostern-helper1"):
            run("dpkg-deb", "-x", old[name], unpacked)
        library = next(unpacked.glob("usr/lib/*/libpostern-helper.a")).parent
        found = {**os.environ, "PKG_CONFIG_LIBDIR": str(library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(unpacked)}
        example = unpacked / "usr/share/doc/postern-dev/examples/helper.c"
        for kind, options in (("shared", []), ("static", ["--static"])):
            with self.subTest(kind=kind):
                if options:
                    next(library.glob("libpostern-helper.so")).unlink()
                flags = run("pkg-config", "--cflags", "--libs", *options, "postern-helper", env=found).split()
                run("cc", example, "-o", work / kind, *flags, "-lcrypt")
                usage = subprocess.run([work / kind], capture_output=True, text=True, check=False, env={"LD_LIBRARY_PATH": str(library)})
                self.assertEqual((usage.returncode, usage.stderr), (2, f"usage: {work / kind} SOCKET\n"))
                self.assertEqual("libpostern-helper.so.1" in run("objdump", "-p", work / kind), kind == "shared")

    def test_every_program_has_a_package(self):
        listed = "".join(run("rpm", "-qpl", file) for file in rpms.values())
        for program in ("postern", "postern-auth", "postern-swarm", "postern-mailstub"):
            self.assertIn(f"/usr/bin/{program}\n", listed)


def without_habits(path):
    """Without what each kind of package has its own place for. Empty: only one of them has it."""
    if path.startswith("/usr/share/licenses/") or path.endswith(("/copyright", "/changelog.Debian.gz")):
        return ""
    for theirs, ours in (("/usr/lib/x86_64-linux-gnu/", "/usr/lib64/"), ("/lib/systemd/", "/usr/lib/systemd/")):
        if path.startswith(theirs):
            path = ours + path.removeprefix(theirs)
    return path


class Life(unittest.TestCase):
    broken = None  # the step that failed

    def run(self, result=None):
        faults = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > faults:
            Life.broken = Life.broken or self.id()

    def setUp(self):
        if Life.broken:
            self.skipTest(f"it rests on {Life.broken}, which failed")

    @classmethod
    def setUpClass(cls):
        try:
            cls.boot()
        except Impossible as reason:
            raise unittest.SkipTest(tap.IMPOSSIBLE + str(reason).replace("\n", " ")) from reason

    @classmethod
    def boot(cls):
        if not pathlib.Path("/proc/self/ns/cgroup").exists() or run("id", "-u").strip() != "0":
            raise Impossible("only root can make a Debian with users of its own")
        installed = [old[name] for name in ("postern", "postern-auth", "postern-perf")]
        tar = debian_root.base(BUILD / "packages-test", installed)
        cls.root = DebianRoot.__new__(DebianRoot)
        cls.addClassCleanup(cls.root.stop)
        cls.root.__init__(tar, work / "root")
        cls.bare = cls.root.files()

    def installed(self, files, *words):
        for file in files:
            shutil.copy(file, self.root.path / "tmp")
        return self.root.run("apt-get", "install", "-y", "--no-install-recommends", *words,
                             *(f"/tmp/{file.name}" for file in files))

    def state(self, unit):
        shown = self.root.run("systemctl", "show", "-p", "ActiveState,SubState,MainPID,Type", unit)
        return dict(line.split("=", 1) for line in shown.splitlines())

    def assert_serving(self):
        for unit in ("postern", "postern-auth"):
            state = self.state(unit)
            self.assertEqual((state["ActiveState"], state["SubState"], state["Type"]), ("active", "running", "notify"),
                             self.root.run("journalctl", "-u", unit, "-n", "30"))

    def start_mail_program(self, password=PASSWORD, *stay):
        return self.root.talker(sys.executable, "-c", MAIL_PROGRAM, self.root.path / "etc/postern/tls/mail.crt", NAME, USER, password, *stay)

    def mail_program(self, password=PASSWORD):
        return self.start_mail_program(password).communicate(timeout=PATIENCE_S)[0]

    def assert_login(self):
        said = self.mail_program()
        self.assertIn("\nOK\nOK BYE\n", said, self.root.run("journalctl", "-n", "40"))

    def test_1_installed_it_serves(self):
        self.installed([old[name] for name in ("postern", "postern-auth", "postern-perf")])
        self.assertEqual(self.root.run("dpkg", "--verify"), "")
        self.assert_serving()
        for unit in ("postern", "postern-auth"):
            self.assertEqual(self.root.run("systemctl", "is-enabled", unit).strip(), "enabled")
        self.assertEqual(self.root.run("systemctl", "--failed", "--quiet", "--plain"), "")

    def test_2_each_runs_behind_its_walls(self):
        # CAP_NET_BIND_SERVICE is number 10.
        for unit, capabilities in (("postern", 1 << 10), ("postern-auth", 0)):
            pid = self.state(unit)["MainPID"]
            status = dict(line.split(":\t", 1) for line in self.root.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
            user = self.root.run("id", "-u", unit).strip()
            self.assertEqual(set(status["Uid"].split()), {user})
            for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[kind], 16), capabilities, (unit, kind))
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
            # "Overall exposure" of 1.5 at most, on systemd's scale from 0 to 10.
            self.root.run("systemd-analyze", "security", "--threshold=15", f"{unit}.service")
        for path, owner in (("/etc/postern/tls/mail.key", "postern postern 400"), ("/etc/postern/tls", "root postern 750"),
                            ("/etc/postern/postern-auth.toml", "root postern-auth 640"), ("/run/postern", "root postern 1770"),
                            ("/run/postern/auth.sock", "postern-auth postern 660"), ("/var/lib/postern", "postern-auth postern-auth 700")):
            self.assertEqual(self.root.run("stat", "-c", "%U %G %a", path).strip(), owner, path)

    def test_3_a_user_logs_in(self):
        self.root.run("systemd-run", "--quiet", "--unit=mail-server", "postern-mailstub", "--listen", "127.0.0.1:143")
        self.root.run("postern-auth", "user", "add", USER, "--pool", "default", "--password-stdin", input=PASSWORD + "\n")
        self.assertEqual(self.root.run("stat", "-c", "%U %a", "/var/lib/postern/users.db").strip(), "postern-auth 640")
        self.assert_login()
        self.assertIn("AUTHENTICATIONFAILED", self.mail_program("close sesame"))
        self.assertRegex(self.root.run("journalctl", "-u", "postern"), rf"login .*user={USER}")

    def test_4_a_reload_takes_effect_or_fails_aloud(self):
        file = self.root.path / "etc/postern/postern.toml"
        shipped = file.read_text()
        file.write_text(shipped.replace('#hostname = "mail.example.test"', 'hostname = "renamed.example.test"'))
        self.root.run("systemctl", "reload", "postern", "postern-auth")
        self.assert_serving()
        wait_until(lambda: " renamed.example.test " in self.mail_program(), lambda: self.root.run("journalctl", "-u", "postern", "-n", "30"))
        file.write_text(shipped + "[nonsense]\n")
        self.assertNotEqual(self.root.try_to("systemctl", "reload", "postern").returncode, 0)
        self.assertIn("nonsense", self.root.run("journalctl", "-u", "postern"))
        self.assert_serving()
        self.assert_login()
        # An edit that is there to be kept, of a file that the next version has another of.
        file.write_text(shipped.replace('#hostname = "mail.example.test"', 'hostname = "kept.example.test"\ndrain_timeout = "3s"'))

    def test_5_a_long_drain_is_waited_for(self):
        """Longer than the unit allows: the gate asks systemd for the time."""
        own = self.root.path / "etc/systemd/system/postern.service.d"
        own.mkdir()
        (own / "own.conf").write_text("[Service]\nTimeoutStopSec=1s\n")
        self.root.run("systemctl", "daemon-reload")
        self.root.run("systemctl", "restart", "postern")
        mail = self.start_mail_program(PASSWORD, "stay")
        wait_until(lambda: mail.stdout.readline() == "here\n", "for the login")
        self.root.run("systemctl", "stop", "postern")
        mail.communicate(timeout=PATIENCE_S)
        # Not "timeout", after which the gate would have been killed.
        self.assertEqual(self.root.run("systemctl", "show", "-p", "Result", "postern").strip(), "Result=success")
        shutil.rmtree(own)
        self.root.run("systemctl", "daemon-reload")
        self.root.run("systemctl", "start", "postern")

    def test_5b_another_process_takes_the_doors_over(self):
        """Behind the unit's walls, too; systemd knows the new process, and whoever is logged in stays with the old one."""
        former = self.state("postern")["MainPID"]
        mail = self.start_mail_program(PASSWORD, "stay")
        wait_until(lambda: mail.stdout.readline() == "here\n", "for the login")
        self.root.run("systemctl", "kill", "--signal=USR2", "--kill-whom=main", "postern")
        wait_until(lambda: self.state("postern")["MainPID"] not in (former, "0"), lambda: self.root.run("journalctl", "-u", "postern", "-n", "30"))
        self.assert_serving()
        self.assert_login()
        self.assertIsNone(mail.poll())
        self.root.run("test", "-d", f"/proc/{former}")
        self.root.run("systemctl", "restart", "postern")
        mail.communicate(timeout=PATIENCE_S)
        self.assert_login()

    def test_6_upgraded_it_keeps_what_was_edited(self):
        pids = [self.state(unit)["MainPID"] for unit in ("postern", "postern-auth")]
        # What apt does when nobody is there to be asked.
        self.installed([new[name] for name in ("postern", "postern-auth", "postern-perf")], "-o", "Dpkg::Options::=--force-confdef",
                       "-o", "Dpkg::Options::=--force-confold")
        versions = self.root.run("dpkg-query", "-W", "-f", "${Version}\n", "postern", "postern-auth", "postern-perf")
        self.assertEqual(set(versions.split()), {NEW})
        self.assert_serving()
        self.assertFalse(set(pids) & {self.state(unit)["MainPID"] for unit in ("postern", "postern-auth")})
        self.assertIn(" kept.example.test ", self.mail_program())
        self.assert_login()
        folder = self.root.path / "etc/postern"
        self.assertNotIn("newer version", (folder / "postern.toml").read_text())
        self.assertIn("newer version", (folder / "postern.toml.dpkg-dist").read_text())
        # The other one was not edited: it is the new one, for the helper alone as before.
        self.assertIn("newer version", (folder / "postern-auth.toml").read_text())
        self.assertEqual(self.root.run("stat", "-c", "%U %G %a", "/etc/postern/postern-auth.toml").strip(), "root postern-auth 640")

    def test_7_removed_it_keeps_what_is_the_administrators(self):
        self.root.run("apt-get", "remove", "-y", "postern", "postern-auth")
        for unit in ("postern", "postern-auth"):
            self.assertEqual(self.state(unit)["ActiveState"], "inactive")
        for path in ("etc/postern/postern.toml", "etc/postern/postern-auth.toml", "etc/postern/tls/mail.key", "var/lib/postern/users.db"):
            self.assertTrue((self.root.path / path).exists(), path)
        self.assertFalse((self.root.path / "usr/bin/postern").exists())

    def test_8_back_again_it_is_as_before(self):
        self.installed([new[name] for name in ("postern", "postern-auth")], "-o", "Dpkg::Options::=--force-confold")
        self.assert_serving()
        self.assert_login()

    def test_9_purged_it_leaves_what_it_did_not_make(self):
        folder = self.root.path / "etc/postern"
        (folder / "tls/mail.crt").write_text("The administrator's own, in the place of the one that signed itself.\n")
        self.root.run("apt-get", "purge", "-y", "postern", "postern-auth")
        self.assertEqual({str(path.relative_to(folder)) for path in folder.rglob("*")}, {"tls", "tls/mail.crt"})
        self.assertFalse((self.root.path / "var/lib/postern").exists())
        # Whose number would otherwise be another's some day, with this file.
        self.assertIn("postern", self.root.run("getent", "passwd", "postern"))
        shutil.rmtree(folder)

    def test_a_the_other_kind_of_package(self):
        """No RPM system, but its packages and their scripts, on Debian's libraries."""
        names = ("postern", "postern-auth")
        self.rpm("-i", *(rpms[name] for name in names))
        self.rpm("-V", *names)
        self.root.run("systemctl", "daemon-reload")
        self.root.run("systemctl", "start", "postern-auth", "postern")
        self.root.run("postern-auth", "user", "add", USER, "--pool", "default", "--password-stdin", input=PASSWORD + "\n")
        self.assert_serving()
        self.assert_login()
        self.root.run("systemctl", "stop", "postern-auth", "postern")
        self.rpm("-e", *names)
        folder = self.root.path / "etc/postern"
        self.assertEqual({path.name for path in folder.rglob("*")}, {"tls", "mail.crt", "mail.key", "self-signed.sha256"})
        # The last one belongs to the system where it is one of these packages'.
        for place in ("etc/postern", "var/lib/postern", "var/lib/rpm", "usr/share/licenses"):
            shutil.rmtree(self.root.path / place)

    def rpm(self, *words):
        self.root.run_beside("rpm", "--root", self.root.path, "--dbpath", "/var/lib/rpm", "--nodeps", *words)

    def test_b_nothing_is_left(self):
        self.installed([new[name] for name in ("postern", "postern-auth")])
        self.assert_serving()
        self.root.run("systemctl", "stop", "mail-server")
        self.root.run("apt-get", "purge", "-y", "--autoremove", *("postern", "postern-auth", "postern-perf"))
        for database in ("passwd", "group"):
            self.assertNotIn("postern", self.root.run("getent", database))
        self.assertEqual(self.root.run("find", "/run", "/var/lib/systemd", "-name", "*postern*"), "")
        left = self.root.files()
        self.assertEqual((left - self.bare, self.bare - left), (set(), set()))


if __name__ == "__main__":
    SOURCE, BUILD = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    tap.main(sys.argv[3:])
