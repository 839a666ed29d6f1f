"""What comparing live requests with fp32 in the background does to their latency."""
import csv
import json
import tempfile

import accuracy
import setting

MODEL, VARIANT = "mobilenet_v2", "int8"
RATE, LOAD = 0.05, 0.7
CLIENTS = 4  # that find out what the server can do
WINDOW_MS = 10000


def perf_analyzer(address, *arguments):
    """The row of perf_analyzer's table with random images."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as out:
        setting.output_of(["bash", setting.PEERS_SH, "perf_analyzer", "-m", f"{MODEL}@{VARIANT}", "-u", address, "-i", "grpc", "--shape",
                           "input:1,3,224,224", "-p", str(WINDOW_MS), "-r", "3", "-s", "200", "--percentile", "99", "-f", out.name, *arguments], tries=2)
        with open(out.name, encoding="utf-8") as f:
            return next(csv.DictReader(f))


def set_shadow(address, rate):
    value = f"{VARIANT}:{rate}" if rate else "none"
    setting.output_of([setting.DEV, "run", "precis", "traffic", MODEL, f"--shadow={value}", f"--server={address}"])


def drift(address):
    return json.loads(setting.output_of([setting.DEV, "run", "precis", "drift", f"{MODEL}@{VARIANT}", f"--server={address}", "--json"]))


def measure(options):
    accuracy.image_calibration(MODEL)
    record = {"off": [], "on": []}
    flags = f"--load={MODEL}@fp32,{MODEL}@{VARIANT}"
    with setting.server(accuracy.REPOSITORY, flags) as address:
        capacity = float(perf_analyzer(address, "--concurrency-range", str(CLIENTS))["Inferences/Second"])
        requests_per_second = f"{LOAD * capacity:.0f}"
        for turn in range(2 * options.rounds):
            side = ("off", "on", "on", "off")[turn % 4]  # neither side is always the first
            setting.say(f"shadow: {side}, run {turn + 1} of {2 * options.rounds}, {requests_per_second} requests/s")
            set_shadow(address, RATE if side == "on" else 0)
            row = perf_analyzer(address, "--request-rate-range", requests_per_second, "--request-distribution", "poisson")
            record[side].append({"p50_us": float(row["p50 latency"]), "p99_us": float(row["p99 latency"])})
        found = drift(address)
    record |= {"capacity": capacity, "requests_per_second": float(requests_per_second), "samples": found["samples"],
               "dropped": found["dropped_samples"]}
    rows = []
    for side, name in (("off", "none"), ("on", f"{RATE:.0%}")):
        p50, p99 = ([run[key] / 1000 for run in record[side]] for key in ("p50_us", "p99_us"))
        rows.append((name, f"{setting.median(p50):.2f}", f"{setting.median(p99):.2f}", f"{min(p99):.2f} to {max(p99):.2f}"))
    setting.print_table(f"{MODEL} {VARIANT}, {LOAD:.0%} load ({requests_per_second} requests/s, Poisson), ms; {options.rounds} interleaved runs a side, "
                        f"{found['samples']} samples compared, {found['dropped_samples']} dropped",
                        ("shadow", "p50", "p99", "p99 of the runs"), rows)
    return record
