#!/usr/bin/env python3
"""Runs the image of `./dev image` as it is meant to run, and prints what it measures.

    image.py IMAGE [--model=FILE --calibration=DIR] [--json]

The containers have a read-only root, no capabilities and a user of no name. Checked: the size, labels and health check;
that the demo's model is served; that workers follow --cpus and memory stays below -m; the cold start with an int8 model and
a calibration cache; SIGTERM under load. MODEL is the network of the cold start; the demo's, unless told otherwise.
"""
import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

from containers import CHECKOUT, HARDENED, PODMAN, Container, Sandbox, engine, image_bytes, inspect_image

BASE = "debian:trixie-slim"
LARGEST_ADDITION_MB = 150
LONGEST_COLD_START_S = 2.0
DRAIN_SECONDS, DRAIN_TIMEOUT = 2, 10
COLD_STARTS = 5
DEMO = CHECKOUT / "demo/repository"

failures: list[str] = []


def check(good: bool, what: str) -> None:
    print(f"  {'ok  ' if good else 'FAIL'}  {what}", flush=True)
    if not good:
        failures.append(what)


def described(image: str) -> dict:
    print("The image", flush=True)
    size, base = image_bytes(image) / 1e6, image_bytes(BASE) / 1e6
    check(size - base <= LARGEST_ADDITION_MB, f"{size:.0f} MB unpacked, {size - base:.0f} beyond the base (at most {LARGEST_ADDITION_MB})")
    about = inspect_image(image)
    config = about["Config"]
    labels = config.get("Labels") or {}
    wanted = {f"org.opencontainers.image.{name}" for name in ("title", "version", "revision", "created", "description")}
    check(wanted <= set(labels), f"labels: {labels.get('org.opencontainers.image.title')} {labels.get('org.opencontainers.image.version')}, "
          f"revision {labels.get('org.opencontainers.image.revision', '')[:12]}")
    check(config.get("User", "").split(":")[0] not in ("", "0", "root"), f"user {config.get('User')}")
    health = (config.get("Healthcheck") or about.get("Healthcheck") or {}).get("Test", [])
    check(health[:3] == ["CMD", "precis", "health"], f"health check without a shell: {' '.join(health)}")
    with tempfile.TemporaryDirectory() as folder:
        holder = engine("create", image).stdout.strip()
        try:
            engine("cp", f"{holder}:/usr/share/precis/sbom.cdx.json", f"{folder}/sbom.json")
        finally:
            engine("rm", holder)
        bill = json.loads(Path(folder, "sbom.json").read_text())
    names = {component["name"] for component in bill["components"]}
    check({"libdnnl3.6", "libgrpc++1.51t64", "libc6"} <= names, f"bill of materials: {bill['bomFormat']} {bill['specVersion']}, {len(names)} packages")
    return {"image_mb": round(size, 1), "beyond_base_mb": round(size - base, 1), "packages": len(names)}


def healthy(container: Container) -> bool:
    if PODMAN:  # which runs checks by systemd's timers; here there may be none
        return engine("healthcheck", "run", container.name, check=False).returncode == 0
    end = time.monotonic() + 60
    while container.state("Health.Status") != "healthy" and time.monotonic() < end:
        time.sleep(0.2)
    return container.state("Health.Status") == "healthy"


def peak_memory(container: Container) -> int:
    """Bytes, from the container's own cgroup (version 2 or 1)."""
    lines = Path(f"/proc/{container.process()}/cgroup").read_text().splitlines()
    groups = {controller: path for _, controllers, path in (line.split(":", 2) for line in lines) for controller in controllers.split(",")}
    version_1 = Path("/sys/fs/cgroup/memory" + groups.get("memory", "/nowhere")) / "memory.max_usage_in_bytes"
    version_2 = Path("/sys/fs/cgroup" + groups.get("", "/nowhere")) / "memory.peak"
    return int((version_1 if version_1.exists() else version_2).read_text())


def served(sandbox: Sandbox, image: str) -> None:
    print("As it is meant to run: read-only root, no capabilities", flush=True)
    flags = (*HARDENED, "--cpus=1", "--memory=256m", f"--volume={DEMO}:/models:ro")
    container = sandbox.run("one", image, "--model_repository=/models", "--load=fashion@int8", "--drain_seconds=0", flags=flags)
    container.await_log("precisd ready")
    check("1 cores (cgroup quota 1), 1 workers" in container.logs(), "--cpus=1: one worker")
    status = Path(f"/proc/{container.process()}/status").read_text()
    user = re.search(r"^Uid:\t(\d+)", status, re.MULTILINE).group(1)
    check(user != "0", f"runs as user {user}")
    check(healthy(container), "the health check says healthy")
    answer = container.execute("precis", "infer", "fashion@int8", "--random", "--json")
    check(answer.returncode == 0 and json.loads(answer.stdout)["outputs"][0]["shape"] == [1, 10],
          "serves the demo's model at int8" + ("" if answer.returncode == 0 else ": " + answer.stderr))
    load = container.execute("precis_loadtest", "--model=fashion@int8", "--concurrency=8", "--duration=3s", "--json")
    calls = json.loads(load.stdout) if load.returncode == 0 else {"calls": 0, "failed_calls": load.stderr}
    peak = peak_memory(container)
    check(calls["calls"] > 0 and calls["failed_calls"] == 0 and container.state("OOMKilled") == "false",
          f"-m 256m: {peak / 2**20:.0f} MB at most under load, {calls['failed_calls']} of {calls['calls']} calls failed")
    container.signal("TERM")
    check(container.wait() == 0, "SIGTERM: exit code 0")
    quota = sandbox.run("half", image, "--model_repository=/models", "--drain_seconds=0", flags=(*HARDENED, "--cpus=2", f"--volume={DEMO}:/models:ro"))
    quota.await_log("precisd ready")
    check(re.search(r"([2-9]|\d\d) cores \(cgroup quota 2\), 2 workers|1 cores", quota.logs()) is not None, "--cpus=2: two workers")
    quota.signal("KILL")


def time_of(container: Container, text: str) -> float:
    """When it said that, by the engine's clock, seconds since 1970."""
    done = engine("logs", "--timestamps", container.name)
    line = next(line for line in (done.stdout + done.stderr).splitlines() if text in line)
    stamp = re.match(r"(\S+T\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", line)
    whole = datetime.fromisoformat(stamp.group(1) + stamp.group(3).replace("Z", "+00:00"))
    return whole.timestamp() + float(stamp.group(2) or 0)


def cold_start(sandbox: Sandbox, image: str, model: Path | None, calibration: Path | None) -> dict:
    print("Cold start: int8 model, calibration cache", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        models, cache, name = Path(folder, "models"), Path(folder, "cache"), "fashion"
        if model:
            name = model.stem
            (models / name / "1").mkdir(parents=True)
            shutil.copy(model, models / name / "1/model.onnx")
            shutil.copytree(calibration, models / name / "calibration")
        else:
            shutil.copytree(DEMO, models, ignore=shutil.ignore_patterns(".precis_cache"))
        cache.mkdir()
        for path in (Path(folder), models, cache):
            path.chmod(0o777)
        flags = (*HARDENED, f"--volume={models}:/models:ro", f"--volume={cache}:/cache")
        times, loads = [], []
        for number in range(COLD_STARTS + 1):
            begin = time.time()
            container = sandbox.run(f"start{number}", image, "--model_repository=/models", f"--load={name}@int8", "--calibration_cache=/cache",
                                    flags=flags)
            container.await_log("precisd ready")
            times.append(time_of(container, "precisd ready") - begin)
            loads.append(float(re.search(r"precisd ready models=1 failed=0 seconds=(\S+)", container.logs()).group(1)))
            engine("rm", "--force", *(["--time=0"] if PODMAN else []), container.name)
        first, rest = times[0], times[1:]
        check(max(rest) <= LONGEST_COLD_START_S,
              f"{name}@int8: {statistics.median(rest):.2f} s from the engine's call to ready, {max(rest):.2f} at most of {len(rest)} starts "
              f"(of which the load {statistics.median(loads[1:]):.2f}; {first:.2f} s without a cache)")
    return {"model": name, "cold_start_s": round(statistics.median(rest), 3), "cold_start_max_s": round(max(rest), 3),
            "first_start_s": round(first, 3)}


def drained(sandbox: Sandbox, image: str) -> dict:
    print("SIGTERM under load", flush=True)
    network, prefix = sandbox.network()
    address = f"{prefix}.10"
    server = sandbox.run("drain", image, "--model_repository=/models", "--load=fashion@int8", f"--drain_seconds={DRAIN_SECONDS}",
                         f"--drain_timeout={DRAIN_TIMEOUT}",
                         flags=(*HARDENED, *sandbox.at(network, address), f"--volume={DEMO}:/models:ro"))
    server.await_log("precisd ready")
    load: list[subprocess.CompletedProcess] = []
    client = threading.Thread(target=lambda: load.append(sandbox.run_and_wait(
        "load", image, f"--target={address}:8001", "--model=fashion@int8", "--concurrency=8", "--warmup=0s", "--duration=6s", "--json",
        flags=(f"--network={network}", "--entrypoint=precis_loadtest"))))
    client.start()
    time.sleep(3)
    begin = time.monotonic()
    server.signal("TERM")
    code = server.wait()
    took = time.monotonic() - begin
    client.join()
    result = json.loads(load[0].stdout)
    others = {name: count for name, count in result["errors"].items() if name not in ("UNAVAILABLE", "CANCELLED")}
    check(code == 0, f"exit code {code}")
    check(DRAIN_SECONDS <= took <= DRAIN_SECONDS + DRAIN_TIMEOUT,
          f"{took:.2f} s from SIGTERM to the end: {DRAIN_SECONDS} s of service while load balancers look away, then {took - DRAIN_SECONDS:.2f} s")
    check("did not finish" not in server.logs() and not others,
          f"requests in flight finished: {result['calls'] - sum(result['errors'].values())} calls answered, those after the end refused"
          + (f", {others}" if others else ""))
    return {"drain_seconds": DRAIN_SECONDS, "sigterm_to_exit_s": round(took, 3), "calls": result["calls"], "errors": result["errors"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--model", type=Path, help="an ONNX file for the cold start")
    parser.add_argument("--calibration", type=Path, help="its folder of .npy or .npz samples")
    parser.add_argument("--json", action="store_true", help="the figures as the last line")
    arguments = parser.parse_args()
    if (arguments.model is None) != (arguments.calibration is None):
        parser.error("--model and --calibration belong together")
    sandbox = Sandbox("precis-image-test")
    figures = described(arguments.image)
    served(sandbox, arguments.image)
    figures |= cold_start(sandbox, arguments.image, arguments.model, arguments.calibration)
    figures |= drained(sandbox, arguments.image)
    sandbox.clean()
    if arguments.json:
        print(json.dumps(figures))
    if failures:
        sys.exit(f"{len(failures)} checks failed")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:
        sys.exit(f"./dev image --test: {error}")
