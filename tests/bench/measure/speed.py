"""Latency in process at batch 1, against OpenVINO and against the plan's own floor; time to load."""
import os

import setting

VARIANTS = {"fp32": "openvino_f32", "bf16": "openvino_bf16", "int8": "openvino_int8"}
THREADS = (1, 2)
# Network -> shape of every input.
MODELS = {"resnet50": "1,3,224,224", "mobilenet_v2": "1,3,224,224", "bert_base": "1,128,768", "minilm_l6": "1,128"}
LAYERS_SHOWN = 5


def nncf_model(name, path, shape):
    """The network quantized to int8 by NNCF, made once."""
    out = f"{setting.WORK}/nncf/{name}.xml"
    if not os.path.exists(out):
        setting.say(f"quantizing {name} with NNCF")
        os.makedirs(os.path.dirname(out), exist_ok=True)
        extra = {"bert_base": ["--transformer"], "minilm_l6": ["--transformer", "--pairs", f"{setting.SHARED}/data/stsb600"]}
        setting.peers_json("nncf", path, out, "--shape", shape, *extra.get(name, []))
    return out


def bench(path, shape, variant, threads, *flags):
    return setting.precis("precis_bench", f"--model={path}", f"--variant={variant}", f"--threads={threads}", "--batch=1",
                          f"--input_shape={shape}", "--json", *flags)


def measure_cell_group(name, threads, rounds):
    """One network at one thread count: each round runs the peers, then each of our variants. Returns variant -> figures."""
    import accuracy
    path, shape = setting.speed_model(name), MODELS[name]
    int8 = nncf_model(name, path, shape)
    calibration = [f"--calibration={accuracy.minilm_calibration()}"] if name == "minilm_l6" else []
    cells = {variant: {"ours": [], "openvino": [], "ort": [], "floor": []} for variant in VARIANTS}
    for turn in range(rounds):
        setting.say(f"speed: {name}, {threads} thread(s), round {turn + 1} of {rounds}")
        peers = setting.peers_json("engines", path, "--shape", shape, "--threads", str(threads), "--int8", int8)
        for variant, cell in cells.items():
            ours = bench(path, shape, variant, threads, "--floor", *(calibration if variant == "int8" else []))
            cell["ours"].append(ours["median_ms"])
            cell["floor"].append(ours["floor_ms"])
            cell["openvino"].append(next(value for key, value in peers.items() if key.startswith(VARIANTS[variant])))
            cell["layers"] = ours["layers"]
        cells["fp32"]["ort"].append(peers["ort_f32"])
    return cells


def ratio(cell, other):
    return setting.median([a / b for a, b in zip(cell["ours"], cell[other])])


def measure(options):
    record = {}
    for name in filter(options.wants, MODELS):
        for threads in THREADS:
            if threads > len(os.sched_getaffinity(0)):
                setting.say(f"speed: {name} with {threads} threads left out: too few cores")
                continue
            record[f"{name} {threads}"] = measure_cell_group(name, threads, options.rounds)
    rows, slow = [], []
    for key, cells in record.items():
        name, threads = key.split()
        for variant, cell in cells.items():
            rows.append((name, threads, variant, f"{setting.median(cell['ours']):.2f}", f"{setting.median(cell['openvino']):.2f}",
                         f"{ratio(cell, 'openvino'):.2f}", f"{setting.median(cell['floor']):.2f}", f"{ratio(cell, 'floor'):.2f}"))
            if ratio(cell, "openvino") > 1:
                slow.append((key, variant, cell["layers"]))
    setting.print_table("Latency, ms, batch 1, in process", ("network", "threads", "variant", "Precis", "OpenVINO", "of OpenVINO", "floor",
                                                            "of floor"), rows)
    for key, variant, layers in slow:
        top = sorted(layers, key=lambda layer: -layer["time_us"])[:LAYERS_SHOWN]
        print(f"\nSlower than OpenVINO: {key} {variant}; its longest layers: " +
              "; ".join(f"{layer['name']} ({layer['op']}, {layer['implementation']}) {layer['time_us']:.0f} us" for layer in top))
    return record


def measure_load(options):
    import accuracy
    calibration = accuracy.image_calibration("mobilenet_v2")
    path = f"{setting.SHARED}/models/mobilenet_v2.onnx"
    runs = []
    for _ in range(options.rounds):
        phases = setting.precis("precis_bench", f"--model={path}", "--variant=int8", "--threads=1", "--batch=1",
                                f"--calibration={calibration}", "--json")["load_ms"]
        runs.append(phases)
    totals = [sum(run.values()) for run in runs]
    setting.print_table("Loading mobilenet_v2 as int8 from 100 images, one thread, seconds", (*runs[0], "total"),
                        [(*(f"{setting.median([run[phase] for run in runs]) / 1e3:.2f}" for phase in runs[0]),
                          f"{setting.median(totals) / 1e3:.2f}")])
    return runs
