"""Containers and networks of one test, by Podman or Docker, and their end in every case."""
import atexit
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINE = shlex.split(os.environ.get("PRECIS_CONTAINER_ENGINE", "podman"))
PODMAN = os.path.basename(ENGINE[0]) == "podman"
# What the image is meant to run with: nothing to write to, no privileges.
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def engine(*arguments: object, check: bool = True, timeout: float = 180) -> subprocess.CompletedProcess:
    done = subprocess.run([*ENGINE, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{ENGINE[0]} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done


def limits() -> list[str]:
    """Podman asks for more files and processes than an unprivileged machine may grant: what this process has is enough."""
    if not PODMAN:
        return []
    flags = []
    for name, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            flags.append(f"--ulimit={name}={min(hard, 16384)}:{min(hard, 16384)}")
    return flags


class Sandbox:
    """Everything made through it is removed at the end of the process, also after Ctrl-C or SIGTERM."""

    def __init__(self, name: str):
        self.name = f"{name}-{os.getpid()}"
        self._containers: list[str] = []
        self._networks: list[str] = []
        atexit.register(self.clean)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def clean(self) -> None:
        containers, self._containers = self._containers, []
        if containers:
            engine("rm", "--force", "--volumes", *(["--time=0", "--ignore"] if PODMAN else []), *containers, check=False)
        networks, self._networks = self._networks, []
        for network in networks:
            engine("network", "rm", network, check=False)

    def network(self) -> tuple[str, str]:
        """A bridge of its own; returns its name and the first three numbers of its addresses."""
        for third in range(200, 256):
            prefix = f"10.213.{third}"
            if engine("network", "create", f"--subnet={prefix}.0/24", self.name, check=False).returncode == 0:
                self._networks.append(self.name)
                return self.name, prefix
        raise RuntimeError(f"{ENGINE[0]} network create finds no free network: "
                           + engine("network", "create", self.name, check=False).stderr.strip())

    @staticmethod
    def at(network: str, address: str) -> list[str]:
        """Flags for a fixed place. The MAC address follows from the IP address, so that neighbours find a container that was started anew."""
        mac = "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        return [f"--network={network}", f"--ip={address}", f"--mac-address={mac}"]

    def run(self, name: str, image: str, *command: object, flags: tuple = ()) -> "Container":
        """Starts it in the background."""
        full = f"{self.name}-{name}"
        self._containers.append(full)
        started = time.monotonic()
        engine("run", "--detach", f"--name={full}", *limits(), *flags, image, *command)
        return Container(full, started)

    def run_and_wait(self, name: str, image: str, *command: object, flags: tuple = (), timeout: float = 600) -> subprocess.CompletedProcess:
        full = f"{self.name}-{name}"
        self._containers.append(full)
        return engine("run", f"--name={full}", "--rm", *limits(), *flags, image, *command, check=False, timeout=timeout)


class Container:
    def __init__(self, name: str, started: float):
        self.name = name
        self.started = started  # time.monotonic() just before the engine was asked for it

    def state(self, field: str) -> str:
        return engine("inspect", f"--format={{{{.State.{field}}}}}", self.name).stdout.strip()

    def logs(self) -> str:
        done = engine("logs", self.name, check=False)
        return done.stdout + done.stderr

    def execute(self, *command: object, timeout: float = 60) -> subprocess.CompletedProcess:
        return engine("exec", self.name, *command, check=False, timeout=timeout)

    def await_log(self, text: str, seconds: float = 60) -> float:
        """Waits for a line; returns the seconds since the start."""
        end = time.monotonic() + seconds
        while text not in self.logs():
            if time.monotonic() > end or self.state("Running") != "true":
                raise RuntimeError(f'{self.name} did not say "{text}":\n{self.logs()}')
            time.sleep(0.02)
        return time.monotonic() - self.started

    def signal(self, name: str) -> None:
        engine("kill", f"--signal={name}", self.name)

    def wait(self, timeout: float = 120) -> int:
        return int(engine("wait", self.name, timeout=timeout).stdout.strip())

    def start(self) -> None:
        engine("start", self.name)

    def process(self) -> int:
        """Its first process's number on this machine."""
        return int(self.state("Pid"))


def fetch(url: str, timeout: float = 10) -> str:
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def inspect_image(image: str) -> dict:
    return json.loads(engine("image", "inspect", image).stdout)[0]


def image_bytes(image: str) -> int:
    """Unpacked."""
    return int(inspect_image(image)["Size"])
