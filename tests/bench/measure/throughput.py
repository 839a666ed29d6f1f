"""Items per second with all cores busy: the server under four perf_analyzer clients beside the engine alone, for several networks and through
TCP and shared memory, and beside Triton running OpenVINO."""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile

import setting

MODEL, SHAPE, VARIANT = "mobilenet_v2", "1,3,224,224", "int8"
CLIENTS, CLIENTS_OF_BATCHES = 4, 8
# What is served for the comparison with the engine alone: network and variant.
SERVED = (("mobilenet_v2", "int8"), ("mobilenet_v2", "fp32"), ("minilm_l6", "int8"), ("resnet50", "int8"), ("bert_base", "int8"))
RANDOM_SAMPLES = 16
BATCHING = """max_batch_size: 4
dynamic_batching { }
input { name: "input" data_type: TYPE_FP32 dims: [3, 224, 224] }
"""


def repository(name="precis", config=""):
    import accuracy
    calibration = accuracy.image_calibration(MODEL)
    folder = f"{setting.WORK}/throughput/{name}"
    target = setting.add_model(folder, MODEL, [setting.speed_model(MODEL)])
    shutil.copyfile(f"{calibration}/input.npy", f"{target}/input.npy")
    if config:
        with open(f"{folder}/{MODEL}/config.pbtxt", "w", encoding="utf-8") as f:
            f.write(config)
    return folder, target


def triton_repository():
    import speed
    folder = f"{setting.WORK}/throughput/triton"
    setting.output_of(["bash", setting.PEERS_SH, "served", folder, MODEL, speed.nncf_model(MODEL, setting.speed_model(MODEL), SHAPE), SHAPE])
    return folder


def served(address, model, *flags, clients=CLIENTS, core=None):
    """Inferences per second and the median latency in ms, with clients that wait for each answer."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as out:
        command = ["bash", setting.PEERS_SH, "perf_analyzer", "-m", model, "-u", address, "-i", "grpc", "--concurrency-range", str(clients), "-p",
                   "2000", "-r", "6", "-s", "15", "-f", out.name, *flags]
        setting.output_of(setting.on_core(core, command), tries=2)
        with open(out.name, encoding="utf-8") as f:
            row = next(csv.DictReader(f))
            return float(row["Inferences/Second"]), float(row["p50 latency"]) / 1e3


def engine(calibration, cores, model=MODEL, variant=VARIANT, shape=SHAPE):
    """Items per second of one process per core, one thread each, all at once."""
    command = [setting.DEV, "run", "precis_bench", f"--model={setting.speed_model(model)}", f"--variant={variant}", "--threads=1", "--batch=1",
               f"--input_shape={shape}", f"--calibration={calibration}", "--seconds=4", "--json"]
    runs = [subprocess.Popen(setting.on_core(core, command), stdout=subprocess.PIPE, text=True) for core in cores]
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
        record["engine"].append(engine(calibration, os.sched_getaffinity(0)))
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
    record["networks"] = measure_networks(options)
    record["apart"] = measure_apart(options)
    return record


def network(model, shape):
    """A folder that serves the network, its calibration samples, and perf_analyzer's words for its inputs."""
    import accuracy
    import numpy as np
    import onnx
    path = setting.speed_model(model)
    weights = path.replace(".onnx", ".bin")
    folder = f"{setting.WORK}/throughput/networks"
    calibration = setting.add_model(folder, model, [path, *([weights] if os.path.exists(weights) else [])])
    graph = onnx.load(path, load_external_data=False).graph
    initial = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in initial]
    if model == "minilm_l6":
        shutil.copyfile(f"{accuracy.minilm_calibration()}/pairs.npz", f"{calibration}/pairs.npz")
    elif model == "mobilenet_v2":
        shutil.copyfile(f"{accuracy.image_calibration(model)}/input.npy", f"{calibration}/input.npy")
    elif not os.listdir(calibration):  # networks with untrained weights
        dims = [int(dim) for dim in shape.split(",")]
        samples = np.random.default_rng(1).standard_normal((RANDOM_SAMPLES, *dims[1:]), dtype=np.float32)
        np.save(f"{calibration}/{inputs[0]}.npy", samples)
    return folder, calibration, ["--input-data", "zero", *(word for name in inputs for word in ("--shape", f"{name}:{shape}"))]


def measure_networks(options):
    """How much of the engine's rate reaches clients on the same cores, through TCP and through shared memory."""
    import speed
    rows, record = [], {}
    for model, variant in SERVED:
        if not options.wants(model):
            continue
        shape = speed.MODELS[model]
        folder, calibration, words = network(model, shape)
        runs = []
        for turn in range(options.rounds):
            setting.say(f"throughput: {model} {variant}, round {turn + 1} of {options.rounds}")
            alone = engine(calibration, os.sched_getaffinity(0), model, variant, shape)
            with setting.server(folder, f"--load={model}@{variant}", "--system_shared_memory") as address:
                tcp, _ = served(address, f"{model}@{variant}", *words)
                shared, _ = served(address, f"{model}@{variant}", *words, "--shared-memory", "system", "--output-shared-memory-size", "1048576")
            runs.append((alone, tcp, shared))
        record[f"{model} {variant}"] = runs
        rows.append((model, variant, *(f"{setting.median([run[i] for run in runs]):.0f}" for i in range(3)),
                     *(f"{setting.median([run[i] / run[0] for run in runs]):.2f}" for i in (1, 2))))
    setting.print_table(f"{CLIENTS} perf_analyzer clients on the server's own {len(os.sched_getaffinity(0))} cores, inferences per second",
                        ("network", "variant", "engine alone", "by TCP", "by shared memory", "TCP of engine", "shared memory of engine"), rows)
    return record


def measure_apart(options):
    """Clients on one core and the server on another, which is what two cores can show of clients on a machine of their own."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        setting.say("throughput: one core is too few to part server and clients")
        return {}
    setups = {"as it is": (*repository(), f"input:{SHAPE}", CLIENTS),
              "dynamic_batching, up to 4": (*repository("batching", BATCHING), f"input:{SHAPE.removeprefix('1,')}", CLIENTS_OF_BATCHES)}
    record = {name: [] for name in setups}
    for turn in range(options.rounds):
        for name, (folder, calibration, shape, clients) in setups.items():
            setting.say(f"throughput: server and clients apart, {name}, round {turn + 1} of {options.rounds}")
            alone = engine(calibration, cores[:1])
            with setting.server(folder, f"--load={MODEL}@{VARIANT}", core=cores[0]) as address:
                rate, latency = served(address, f"{MODEL}@{VARIANT}", "--shape", shape, clients=clients, core=cores[1])
            record[name].append((rate, latency, alone))
    setting.print_table(
        f"{MODEL} {VARIANT}, the server on one core, perf_analyzer on another",
        ("Precis", "clients", "inferences/s", "median ms", "engine alone on that core", "of engine"),
        [(name, setups[name][3], *(f"{setting.median([run[i] for run in runs]):.{digits}f}" for i, digits in ((0, 0), (1, 1), (2, 0))),
          f"{setting.median([rate / alone for rate, _, alone in runs]):.2f}") for name, runs in record.items()])
    return record
