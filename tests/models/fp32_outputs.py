#!/usr/bin/env python3
"""Compares Precis' fp32 outputs of the networks in ../shared with outputs that others computed.

    fp32_outputs.py authors RUN_MODEL        with the input and output files that a model's authors ship with it
    fp32_outputs.py onnxruntime RUN_MODEL    with ONNX Runtime, which runs in a process of its own, on every network

The error of an output is its largest difference from the expected one, relative to the largest expected magnitude; at most 1e-4 (the
QDQ network runs in integers: there a value that lies on the border of two steps may take either). Exit code 77, with the reason, when
something that is needed is not there. PEERS names the folder of ../shared/tools/peers.sh's environments, PRECIS_MEASURE_DIR that of
./dev measure, which makes more networks (MiniLM, BERT and others); ONNX Runtime's Python is PRECIS_ONNXRUNTIME_PYTHON, the peers'
or one made with pip in PRECIS_CACHE_DIR.
"""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.path.join(HERE, "../../../shared")
SPEED_MODELS = os.path.join(os.environ.get("PRECIS_MEASURE_DIR", "/tmp/precis-measure"), "models")
TOLERANCE = 1e-4
# A step taken the other way in an early layer moves many later ones: ONNX Runtime with and without its own fusions is 0.13 apart.
QDQ_TOLERANCE = 0.2
SKIP = 77

# CIFAR-10's photos, enlarged to 224 pixels where a network wants that.
IMAGENET = {"mean": (.485, .456, .406), "std": (.229, .224, .225), "count": 2, "enlarge": 7}
CIFAR = {"mean": (.4914, .4822, .4465), "std": (.2023, .1994, .2010)}
# Network -> input name -> how to make it. Shapes have a batch of 2 where the file lets them.
NETWORKS = {
    "mobilenet_v2.onnx": {"input": IMAGENET},
    "mobilenet_v2_qdq.onnx": {"input": IMAGENET},
    "squeezenet1_1.onnx": {"data": IMAGENET},
    "resnet20_cifar10.onnx": {"input.1": {**CIFAR, "count": 1}},
    "vit_cifar10.onnx": {"input": {**CIFAR, "count": 16}},
    "ultraface_rfb320.onnx": {"input": {"shape": (1, 3, 240, 320)}},
    "mnist_8/model.onnx": {"Input3": {"shape": (1, 1, 28, 28)}},
    "super_resolution_10/model.onnx": {"input": {"shape": (2, 1, 224, 224)}},
}
MORE_NETWORKS = {
    "minilm_l6.onnx": {"input_ids": {"pairs": "input_ids_a"}, "attention_mask": {"pairs": "attention_mask_a"},
                       "token_type_ids": {"zeros": (8, 64)}},
    "resnet50.onnx": {"input": {"shape": (1, 3, 224, 224)}},
    "mobilenet_v2.onnx": {"input": IMAGENET},
    "bert_base.onnx": {"input": {"shape": (1, 128, 768)}},
    "mlp_4096.onnx": {"input": {"shape": (2, 4096)}},
}


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def make_input(how):
    if "mean" in how:
        images = np.load(f"{SHARED}/data/cifar10_2000/images.npy")[: how["count"]].astype(np.float32) / 255
        images = ((images - np.float32(how["mean"])) / np.float32(how["std"])).transpose(0, 3, 1, 2)
        return images.repeat(how.get("enlarge", 1), axis=2).repeat(how.get("enlarge", 1), axis=3)
    if "pairs" in how:
        return np.load(f"{SHARED}/data/stsb600/{how['pairs']}.npy")[:8].astype(np.int64)
    if "zeros" in how:
        return np.zeros(how["zeros"], np.int64)
    return np.random.default_rng(0).standard_normal(how["shape"]).astype(np.float32)


def read_tensor_proto(path):
    """The array in a file that holds a float TensorProto (onnx.proto: dims = 1, data_type = 2, float_data = 4, raw_data = 9)."""
    with open(path, "rb") as f:
        data = f.read()
    at, dims, raw = 0, [], b""

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        field, kind = divmod(varint(), 8)
        if kind == 0:
            value = varint()
            if field == 1:
                dims.append(value)
            assert field != 2 or value == 1, f"{path}: want FLOAT"
            continue
        assert kind == 2, f"{path}: wire type {kind}"
        size = varint()
        value, at = data[at:at + size], at + size
        if field == 1:  # packed
            keep, data, at = (data, at), value, 0
            while at < len(data):
                dims.append(varint())
            data, at = keep
        elif field in (4, 9):
            raw += value
    return np.frombuffer(raw, "<f4").reshape(dims)


def run(runner, model, inputs, folder):
    """Outputs by name. `runner` is a command that takes MODEL INPUTS.npz OUTPUTS.npz."""
    np.savez(f"{folder}/inputs.npz", **inputs)
    done = subprocess.run([*runner, model, f"{folder}/inputs.npz", f"{folder}/outputs.npz"], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{os.path.basename(runner[-1])} failed: {done.stderr.strip()[-500:]}")
    with np.load(f"{folder}/outputs.npz") as outputs:
        return dict(outputs)


def error_of(got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    return float(np.abs(got.astype(np.float64) - want).max() / max(np.abs(want).max(), 1e-30))


def report(name, got, want, tolerance=TOLERANCE):
    """Prints one line; true when every output is close enough."""
    errors = {output: error_of(got[output], want[output]) for output in want}
    good = max(errors.values()) <= tolerance
    print(f"{'ok  ' if good else 'FAIL'} {name}: " + ", ".join(f"{output} {e:.2e}" for output, e in errors.items()), flush=True)
    return good


def check_authors(run_model, folder):
    good = True
    for model in sorted(glob.glob(f"{SHARED}/models/*/model.onnx")):
        for data in sorted(glob.glob(f"{os.path.dirname(model)}/test_data_set_*")):
            # Some authors' files bear no names. Both networks have one input and one output.
            (signature,) = NETWORKS[os.path.relpath(model, f"{SHARED}/models")]
            got = run([run_model], model, {signature: read_tensor_proto(f"{data}/input_0.pb")}, folder)
            want = dict(zip(got, [read_tensor_proto(f"{data}/output_0.pb")]))
            good &= report(os.path.relpath(data, f"{SHARED}/models"), got, want)
    return good


def onnxruntime_python():
    """A Python that has ONNX Runtime and NumPy."""
    def works(python):
        return bool(python) and os.access(python, os.X_OK) and not subprocess.run(
            [python, "-c", "import onnxruntime, numpy"], capture_output=True).returncode

    cache = os.environ.get("PRECIS_CACHE_DIR")
    own = f"{cache}/onnxruntime/bin/python" if cache else None
    for python in (os.environ.get("PRECIS_ONNXRUNTIME_PYTHON"), f"{os.environ.get('PEERS', '/var/cache/peers')}/runtimes/bin/python", own):
        if works(python):
            return python
    if cache:
        print("making a Python environment with ONNX Runtime", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", f"{cache}/onnxruntime"], capture_output=True)
        pip = subprocess.run([own, "-m", "pip", "install", "-q", "onnxruntime", "numpy"], capture_output=True, text=True)
        if works(own):
            return own
        skip(f"no ONNX Runtime: pip says {pip.stderr.strip()[-300:]}")
    skip("no ONNX Runtime: run ../shared/tools/peers.sh setup, or set PRECIS_ONNXRUNTIME_PYTHON")


def check_onnxruntime(run_model, folder):
    peer = [onnxruntime_python(), f"{HERE}/run_onnxruntime.py"]
    networks = [(f"{SHARED}/models/{name}", inputs) for name, inputs in NETWORKS.items()]
    for name, inputs in MORE_NETWORKS.items():
        path = f"{SPEED_MODELS}/{name}"
        if os.path.exists(path):
            networks.append((path, inputs))
        else:
            print(f"left out: {path} is not there (./dev measure makes it)")
    good = True
    for model, how in networks:
        name = os.path.relpath(model, f"{SHARED}/models") if model.startswith(SHARED) else model
        inputs = {key: make_input(value) for key, value in how.items()}
        want = run(peer, model, inputs, folder)
        try:
            got = run([run_model], model, inputs, folder)
        except RuntimeError as error:
            print(f"FAIL {name}: {error}")
            good = False
            continue
        good &= report(name, got, want, QDQ_TOLERANCE if "_qdq" in name else TOLERANCE)
    return good


def main():
    checks = {"authors": check_authors, "onnxruntime": check_onnxruntime}
    if len(sys.argv) != 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    if not os.path.isdir(f"{SHARED}/models"):
        skip("there is no ../shared beside this checkout")
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if checks[sys.argv[1]](sys.argv[2], folder) else 1)


if __name__ == "__main__":
    main()
