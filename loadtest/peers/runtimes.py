#!/usr/bin/env python3
"""OpenVINO and ONNX Runtime in process. Runs in the environment `runtimes`.

    runtimes.py describe NETWORK          {"shapes": {input: shape of one sample, batch dimension of 1 included}}
    runtimes.py quantize NETWORK OUT      OUT/openvino_int8.xml (NNCF) and OUT/onnxruntime_int8.onnx (static, QDQ), from NETWORK's samples
    runtimes.py time NETWORK OUT [--threads=N] [--seconds=S]      one JSON object: {"openvino fp32": median_ms, …}

NETWORK is a model's folder as Precis has it: 1/model.onnx and calibration/*.npy, one array for each input.
"""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

WARMUP_RUNS = 5


def model_file(network: Path) -> Path:
    return network / "1/model.onnx"


def samples(network: Path, inputs: list[str]) -> list[dict[str, np.ndarray]]:
    """Each calibration sample as the model's inputs, with a batch dimension of 1."""
    files = sorted((network / "calibration").glob("*.np[yz]"))
    arrays: dict[str, np.ndarray] = {}
    for file in files:
        if file.suffix == ".npz":
            arrays |= dict(np.load(file))
        else:
            arrays[inputs[0] if len(inputs) == 1 else file.stem] = np.load(file)
    missing = set(inputs) - set(arrays)
    if missing:
        sys.exit(f"{network}/calibration has no samples of {', '.join(sorted(missing))}")
    count = len(arrays[inputs[0]])
    return [{name: arrays[name][i:i + 1] for name in inputs} for i in range(count)]


def onnx_inputs(network: Path) -> list[str]:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model_file(network)), options, providers=["CPUExecutionProvider"])
    return [tensor.name for tensor in session.get_inputs()]


def quantize(network: Path, out: Path) -> None:
    import nncf
    import openvino
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    out.mkdir(parents=True, exist_ok=True)
    data = samples(network, onnx_inputs(network))

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rest = iter(data)

        def get_next(self):
            return next(self.rest, None)

    if not (out / "onnxruntime_int8.onnx").exists():
        prepared = str(out / "prepared.onnx")
        quant_pre_process(str(model_file(network)), prepared)
        quantize_static(prepared, str(out / "onnxruntime_int8.onnx"), Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
    if not (out / "openvino_int8.xml").exists():
        model = openvino.Core().read_model(model_file(network))
        model.reshape({name: array.shape for name, array in data[0].items()})
        quantized = nncf.quantize(model, nncf.Dataset(data), subset_size=len(data))
        openvino.save_model(quantized, out / "openvino_int8.xml", compress_to_fp16=False)


def openvino_call(path: Path, sample: dict, threads: int, precision: str):
    import openvino
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({name: array.shape for name, array in sample.items()})
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer(sample, share_inputs=True, share_outputs=True)


def onnxruntime_call(path: Path, sample: dict, threads: int):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, sample)


def median_ms(call, seconds: float) -> float:
    for _ in range(WARMUP_RUNS):
        call()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def measure(network: Path, out: Path, threads: int, seconds: float) -> dict[str, float]:
    sample = samples(network, onnx_inputs(network))[0]
    model = model_file(network)
    calls = {
        "openvino fp32": lambda: openvino_call(model, sample, threads, "f32"),
        "openvino bf16": lambda: openvino_call(model, sample, threads, "bf16"),
        "openvino int8": lambda: openvino_call(out / "openvino_int8.xml", sample, threads, "f32"),
        "onnxruntime fp32": lambda: onnxruntime_call(model, sample, threads),
        "onnxruntime int8": lambda: onnxruntime_call(out / "onnxruntime_int8.onnx", sample, threads),
    }
    return {name: median_ms(make(), seconds) for name, make in calls.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["describe", "quantize", "time"])
    parser.add_argument("network", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    if not model_file(options.network).exists():
        sys.exit(f"{options.network}: want 1/model.onnx and calibration/*.npy in it")
    if options.command == "describe":
        sample = samples(options.network, onnx_inputs(options.network))[0]
        print(json.dumps({"shapes": {name: array.shape for name, array in sample.items()}}))
    elif options.command == "quantize":
        quantize(options.network, options.out)
    else:
        print(json.dumps(measure(options.network, options.out, options.threads, options.seconds)))


if __name__ == "__main__":
    main()
