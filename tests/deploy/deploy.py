#!/usr/bin/env python3
"""Three replicas behind HAProxy under steady load, while one after another comes to harm; what the client saw, and figures.

    deploy.py [--rate=R] [--json]      needs the images precis and precis-haproxy, and root (for the partition)

Real containers on a network of the test's own, with deploy/haproxy/haproxy.cfg as it is: TLS from the client to HAProxy, mutual
TLS from there to precisd. precis_loadtest sends all the time and makes a call again that failed with UNAVAILABLE, as
libprecis_client does. Meanwhile one replica is killed, all are restarted in turn, one is cut from the network and one gets
half the CPU. Exit code 1 when a call failed in the end or the load was not spread evenly.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from containers import CHECKOUT, HARDENED, Container, Sandbox, engine, fetch

REPLICAS = 3
CPUS = 0.5  # of each replica: three and the load share a small machine
LARGEST_SPREAD = 0.10
STEADY_SECONDS = 15
DOWN_SECONDS = 5  # of the killed replica, ahead of its new start
PARTITION_SECONDS = 15
CLIENT_TIMEOUT_SECONDS = 10  # less than that: a call that waits for the partition's end has failed
DEMO = CHECKOUT / "demo/repository"


def spread(calls: list[int]) -> float:
    """How far the replica furthest from the mean is from it, as a share of the mean."""
    mean = sum(calls) / len(calls)
    return max(abs(count - mean) for count in calls) / mean if mean else 1.0


class Deployment:
    def __init__(self, sandbox: Sandbox, arguments: argparse.Namespace, tls: Path):
        self.sandbox, self.arguments, self.tls = sandbox, arguments, tls
        self.network, prefix = sandbox.network()
        self.haproxy_address = f"{prefix}.2"
        self.addresses = [f"{prefix}.{11 + index}" for index in range(REPLICAS)]
        subprocess.run([CHECKOUT / "deploy/haproxy/make_certificates", tls, self.haproxy_address], check=True)
        self.starts = 0
        self.replicas = [self.start_replica(index) for index in range(REPLICAS)]
        names = [f"--env=PRECIS_{index + 1}={address}:8001" for index, address in enumerate(self.addresses)]
        self.haproxy = sandbox.run(
            "haproxy", arguments.haproxy_image,
            flags=(*HARDENED, *sandbox.at(self.network, self.haproxy_address), *names, f"--volume={tls}:/etc/haproxy/tls:ro",
                   f"--volume={CHECKOUT / 'deploy/haproxy/haproxy.cfg'}:/etc/haproxy/haproxy.cfg:ro"))

    def start_replica(self, index: int, cpus: float = CPUS) -> Container:
        self.starts += 1
        return self.sandbox.run(
            f"replica{index + 1}-{self.starts}", self.arguments.image, "--model_repository=/models", "--load=fashion@int8", "--drain_seconds=4",
            "--tls_cert=/tls/precis.crt", "--tls_key=/tls/precis.key", "--tls_client_ca=/tls/ca.crt",
            flags=(*HARDENED, f"--cpus={cpus}", "--memory=512m", *self.sandbox.at(self.network, self.addresses[index]),
                   f"--volume={DEMO}:/models:ro", f"--volume={self.tls}:/tls:ro"))

    def start_load(self) -> Container:
        return self.sandbox.run(
            "load", self.arguments.image, f"--target={self.haproxy_address}:8001", "--tls-ca=/tls/ca.crt", "--model=fashion@int8",
            f"--rate={self.arguments.rate}", "--retries=5", f"--timeout={CLIENT_TIMEOUT_SECONDS}s", "--warmup=1s", "--duration=1h", "--json",
            flags=(f"--network={self.network}", f"--volume={self.tls}:/tls:ro", "--entrypoint=precis_loadtest"))

    def seen_by_haproxy(self) -> list[dict[str, str]]:
        text = fetch(f"http://{self.haproxy_address}:8404/;csv").removeprefix("# ")
        rows = {row["svname"]: row for row in csv.DictReader(text.splitlines()) if row["pxname"] == "precis"}
        return [rows[f"precis-{index + 1}"] for index in range(REPLICAS)]

    def await_state(self, states: dict[int, str], seconds: float = 60) -> None:
        """Waits until HAProxy says that of the replicas, such as {0: "UP"}."""
        end = time.monotonic() + seconds
        while True:
            try:
                seen = [row["status"] for row in self.seen_by_haproxy()]
            except OSError:  # HAProxy is starting
                seen = []
            if seen and all(seen[index] == state for index, state in states.items()):
                return
            if time.monotonic() > end or self.haproxy.state("Running") != "true":
                raise RuntimeError(f"HAProxy says {seen}, want {states}:\n{self.haproxy.logs()[-2000:]}\n"
                                   + "\n".join(self.replicas[index].logs()[-1000:] for index in states))
            time.sleep(0.1)

    def sent(self) -> list[int]:
        """Requests that HAProxy has sent to each replica."""
        return [int(row["stot"]) for row in self.seen_by_haproxy()]

    def sent_during(self, seconds: float) -> list[int]:
        before = self.sent()
        time.sleep(seconds)
        return [after - first for after, first in zip(self.sent(), before)]

    # What happens to the replicas. Each returns what is worth a line.

    def steady(self) -> dict:
        return {"spread": round(spread(self.sent_during(STEADY_SECONDS)), 4)}

    def kill_one(self) -> dict:
        self.replicas[0].signal("KILL")
        time.sleep(DOWN_SECONDS)
        self.replicas[0].start()
        self.await_state({0: "UP"})
        return {}

    def restart_all_in_turn(self) -> dict:
        exits = []
        for index, replica in enumerate(self.replicas):
            begin = time.monotonic()
            replica.signal("TERM")
            code = replica.wait()
            exits.append(round(time.monotonic() - begin, 2))
            if code != 0:
                raise RuntimeError(f"replica {index + 1} ended with code {code}:\n{replica.logs()[-2000:]}")
            replica.start()
            self.await_state({index: "UP"})
        return {"sigterm_to_exit_s": exits}

    def partition_one(self) -> dict:
        replica = self.replicas[1]
        self.link(replica, "down")
        begin = time.monotonic()
        try:
            self.await_state({1: "DOWN"})
            noticed = time.monotonic() - begin
            time.sleep(max(0.0, PARTITION_SECONDS - noticed))
        finally:
            self.link(replica, "up")
        self.await_state({1: "UP"})
        return {"noticed_s": round(noticed, 2)}

    def link(self, container: Container, state: str) -> None:
        """Packets to and from the container vanish from now on, or no more; connections stay as they are at both ends."""
        subprocess.run(["nsenter", f"--net=/proc/{container.process()}/ns/net", "ip", "link", "set", "eth0", state], check=True)

    def half_the_cpu(self) -> dict:
        self.replace(2, CPUS / 2)
        calls = self.sent_during(STEADY_SECONDS)
        self.replace(2, CPUS)
        return {"share_of_the_slow_one": round(calls[2] / sum(calls), 3)}

    def replace(self, index: int, cpus: float) -> None:
        old = self.replicas[index]
        old.signal("TERM")
        old.wait()
        engine("rm", old.name)
        self.replicas[index] = self.start_replica(index, cpus)
        self.await_state({index: "UP"})


PHASES: tuple[tuple[str, Callable[[Deployment], dict]], ...] = (
    ("steady", Deployment.steady),
    ("one killed", Deployment.kill_one),
    ("all restarted in turn", Deployment.restart_all_in_turn),
    ("one partitioned", Deployment.partition_one),
    ("one with half the CPU", Deployment.half_the_cpu),
    ("steady again", Deployment.steady),
)


def run(arguments: argparse.Namespace) -> dict:
    sandbox = Sandbox("precis-deploy-test")
    try:
        with tempfile.TemporaryDirectory() as folder:
            tls = Path(folder, "tls")
            tls.mkdir()
            Path(folder).chmod(0o755)
            deployment = Deployment(sandbox, arguments, tls)
            deployment.await_state(dict.fromkeys(range(REPLICAS), "UP"))
            load = deployment.start_load()
            time.sleep(3)
            phases = []
            print(f"{REPLICAS} replicas of {CPUS} CPUs behind HAProxy, {arguments.rate:g} calls/s", flush=True)
            for name, phase in PHASES:
                before = deployment.sent()
                begin = time.monotonic()
                seen = phase(deployment)
                seconds = time.monotonic() - begin
                calls = [after - first for after, first in zip(deployment.sent(), before)]
                phases.append({"phase": name, "seconds": round(seconds, 1), "calls": calls, **seen})
                print(f"  {name:<22} {seconds:6.1f} s   calls by replica {' '.join(f'{count:6d}' for count in calls)}   "
                      + ", ".join(f"{key} {value}" for key, value in seen.items()), flush=True)
                if load.state("Running") != "true":
                    raise RuntimeError(f"precis_loadtest ended:\n{load.logs()[-2000:]}")
            load.signal("INT")
            load.wait()
            output = engine("logs", load.name).stdout.strip().splitlines()
            result = json.loads(output[-1])
    finally:
        sandbox.clean()
    return {"calls": result["calls"] + result.get("unmeasured", {}).get("calls", 0),
            "failed_calls": result["failed_calls"] + sum(result.get("unmeasured", {}).get("errors", {}).values()),
            "replicas": REPLICAS, "spread": phases[0]["spread"], "spread_after": phases[-1]["spread"], "retries": result["retries"],
            "errors": result["errors"], "latency_ms": result["latency_ms"], "phases": phases}


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev deploy-test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="calls per second [100]")
    parser.add_argument("--image", default="precis", help=argparse.SUPPRESS)
    parser.add_argument("--haproxy-image", default="precis-haproxy", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="all figures in one object, as the last line")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("./dev deploy-test: cutting a container from its network takes root")
    figures = run(arguments)
    latency = figures["latency_ms"]
    print(f"  {figures['calls']} calls, {figures['failed_calls']} failed, {figures['retries']} made again; ms: p50 {latency['p50']:.2f}, "
          f"p99 {latency['p99']:.2f}, p99.9 {latency['p99_9']:.2f}, longest {latency['max']:.0f}")
    print(f"  furthest replica from the mean: {figures['spread']:.1%} before, {figures['spread_after']:.1%} after (at most {LARGEST_SPREAD:.0%})")
    if arguments.json:
        print(json.dumps(figures))
    if figures["failed_calls"] or max(figures["spread"], figures["spread_after"]) > LARGEST_SPREAD:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"./dev deploy-test: {error}")
