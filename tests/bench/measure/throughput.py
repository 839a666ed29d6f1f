"""Items per second with all cores busy: the server under four perf_analyzer clients beside the engine alone and beside Triton running OpenVINO."""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile

import setting

MODEL, SHAPE, VARIANT = "mobilenet_v2", "1,3,224,224", "int8"
CLIENTS = 4


def repository():
    import accuracy
    calibration = accuracy.image_calibration(MODEL)
    folder = f"{setting.WORK}/throughput/precis"
    target = setting.add_model(folder, MODEL, [setting.speed_model(MODEL)])
    shutil.copyfile(f"{calibration}/input.npy", f"{target}/input.npy")
    return folder, target


def triton_repository():
    import speed
    folder = f"{setting.WORK}/throughput/triton"
    setting.output_of(["bash", setting.PEERS_SH, "served", folder, MODEL, speed.nncf_model(MODEL, setting.speed_model(MODEL), SHAPE), SHAPE])
    return folder


def served(address, model, *flags):
    """Inferences per second and the median latency in ms, with clients that wait for each answer."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as out:
        setting.output_of(["bash", setting.PEERS_SH, "perf_analyzer", "-m", model, "-u", address, "-i", "grpc", "--concurrency-range",
                           str(CLIENTS), "-p", "2000", "-r", "6", "-s", "15", "-f", out.name, *flags], tries=2)
        with open(out.name, encoding="utf-8") as f:
            row = next(csv.DictReader(f))
            return float(row["Inferences/Second"]), float(row["p50 latency"]) / 1e3


def engine(calibration):
    """Items per second of one process per core, one thread each, all at once."""
    command = [setting.DEV, "run", "precis_bench", f"--model={setting.speed_model(MODEL)}", f"--variant={VARIANT}", "--threads=1", "--batch=1",
               f"--input_shape={SHAPE}", f"--calibration={calibration}", "--seconds=4", "--json"]
    runs = [subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, text=True) for core in os.sched_getaffinity(0)]
    outputs = [run.communicate()[0] for run in runs]
    if any(run.returncode for run in runs):
        sys.exit("precis_bench failed")
    return sum(json.loads(output.splitlines()[-1])["items_per_second"] for output in outputs)


def measure(options):
    import wire
    (ours, calibration), theirs = repository(), triton_repository()
    record = {"engine": [], "precis": [], "triton": [], "precis_ms": [], "triton_ms": []}
    for turn in range(options.rounds):
        setting.say(f"throughput: engine alone, round {turn + 1} of {options.rounds}")
        record["engine"].append(engine(calibration))
        with setting.server(ours, f"--load={MODEL}@{VARIANT}") as address:
            setting.say("throughput: precisd")
            rate, latency = served(address, f"{MODEL}@{VARIANT}", "--shape", f"input:{SHAPE}")
        record["precis"].append(rate)
        record["precis_ms"].append(latency)
        with wire.triton(theirs) as address:
            setting.say("throughput: Triton with OpenVINO")
            rate, latency = served(address, MODEL)
        record["triton"].append(rate)
        record["triton_ms"].append(latency)
    of = lambda key: setting.median([a / b for a, b in zip(record["precis"], record[key])])
    setting.print_table(
        f"{MODEL} {VARIANT}, {CLIENTS} perf_analyzer clients on the same {len(os.sched_getaffinity(0))} cores, inferences per second",
        ("Precis", "median ms", "engine alone, a process per core", "of engine", "Triton + OpenVINO", "median ms", "of Triton"),
        [(f"{setting.median(record['precis']):.0f}", f"{setting.median(record['precis_ms']):.1f}", f"{setting.median(record['engine']):.0f}",
          f"{of('engine'):.2f}", f"{setting.median(record['triton']):.0f}", f"{setting.median(record['triton_ms']):.1f}", f"{of('triton'):.2f}")])
    return record
