"""A precisd process for the length of a test, and the tests' common ground."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

BINARIES = Path(os.environ["PRECIS_BINARIES"])  # where precisd and precis are
START_SECONDS = 120  # under a sanitizer, on a busy machine
DEFAULT_FLAGS = ("--grpc_address=127.0.0.1", "--grpc_port=0", "--metrics_port=0", "--drain_seconds=0")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Precisd:
    """Started on free ports; the constructor returns when it is ready."""

    def __init__(self, *flags: str):
        given = {flag.split("=")[0] for flag in flags}
        defaults = [flag for flag in DEFAULT_FLAGS if flag.split("=")[0] not in given]
        self._log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([BINARIES / "precisd", *defaults, *flags], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self._log, text=True)
        self._watchdog = threading.Timer(START_SECONDS, self.process.kill)
        self._watchdog.start()
        try:
            endpoints = re.search(r"grpc=(\S+) metrics=(\S+)", self.wait_for_line("precisd listening"))
            self.target, self.metrics_target = endpoints.groups()
            self.wait_for_line("precisd ready")
        except RuntimeError:
            self.stop()
            raise
        self._watchdog.cancel()

    def wait_for_line(self, beginning: str) -> str:
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line
        raise RuntimeError(f'precisd ended with code {self.process.wait()} before "{beginning}":\n{self.log_text()}')

    def log_text(self) -> str:
        if not self._log.closed:
            self._log.seek(0)
            self._log_text = self._log.read()
        return self._log_text

    def metrics(self) -> dict[str, float]:
        """Every sample by its name with labels, as the text has it."""
        with urllib.request.urlopen(f"http://{self.metrics_target}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name with those labels."""
        return sum(value for key, value in self.metrics().items()
                   if key.split("{")[0] == name and all(f'{k}="{v}"' in key for k, v in labels.items()))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 60) -> int:
        return self.process.wait(timeout)

    def stop(self) -> int:
        """Ends it in an orderly way and returns its exit code."""
        self._watchdog.cancel()
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.log_text()
        self._log.close()
        return self.process.returncode


def precis(server: Precisd, *arguments: str) -> subprocess.CompletedProcess:
    """Runs the command line client on that server."""
    return subprocess.run([BINARIES / "precis", *arguments, f"--server={server.target}"], capture_output=True, text=True,
                          timeout=120, check=False)


def start_precis(server: Precisd, *arguments: str) -> subprocess.Popen:
    """The same, without waiting for its end."""
    return subprocess.Popen([BINARIES / "precis", *arguments, f"--server={server.target}"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


class ServerTest(unittest.TestCase):
    """Tests that share one server; a class says in `build` what its repository holds and in `flags` how it is started."""

    flags: tuple[str, ...] = ()

    @classmethod
    def build(cls, repository: Path) -> None:
        raise NotImplementedError

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.repository = Path(cls.folder.name)
        cls.build(cls.repository)
        cls.server = Precisd(f"--model_repository={cls.repository}", *cls.flags)
        cls.addClassCleanup(cls.server.stop)

    @classmethod
    def tearDownClass(cls) -> None:
        code = cls.server.stop()
        if code != 0:
            raise AssertionError(f"precisd ended with code {code}:\n{cls.server.log_text()}")
