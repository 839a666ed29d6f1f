"""Round trips of a model that answers its input, by perf_analyzer, against Triton."""
import contextlib
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time

import setting

SIZES = {"256 B": 64, "64 KB": 16384, "602 KB": 150528}  # FP32 elements


def identity_repository():
    import onnx
    from onnx import TensorProto, helper
    node = helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])
    graph = helper.make_graph([node], "identity", [helper.make_tensor_value_info("INPUT0", TensorProto.FLOAT, ["n"])],
                              [helper.make_tensor_value_info("OUTPUT0", TensorProto.FLOAT, ["n"])])
    repository = f"{setting.WORK}/identity/precis"
    os.makedirs(f"{repository}/identity/1", exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), f"{repository}/identity/1/model.onnx")
    with open(f"{repository}/identity/config.pbtxt", "w", encoding="utf-8") as f:
        f.write('name: "identity"\nmax_batch_size: 0\n')
    return repository


@contextlib.contextmanager
def triton(repository):
    port = setting.free_port()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(["bash", setting.PEERS_SH, "triton", repository, str(port)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while True:
                log.seek(0)
                if "Started GRPCInferenceService" in log.read():
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit("Triton did not start:\n" + log.read()[-2000:])
                time.sleep(0.5)
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def round_trip_us(address, elements):
    with tempfile.NamedTemporaryFile(suffix=".csv") as out:
        setting.output_of(["bash", setting.PEERS_SH, "perf_analyzer", "-m", "identity", "-u", address, "-i", "grpc", "--shape",
                           f"INPUT0:{elements}", "--concurrency-range", "1", "-p", "2000", "-f", out.name], tries=2)
        with open(out.name, encoding="utf-8") as f:
            return float(next(csv.DictReader(f))["p50 latency"])


def triton_identity_repository():
    repository = f"{setting.WORK}/identity/triton"
    setting.output_of(["bash", setting.PEERS_SH, "identity", repository])
    return repository


def measure(options):
    record = {size: {"precis": [], "triton": []} for size in SIZES}
    with triton(triton_identity_repository()) as theirs, setting.server(identity_repository(), "--load=identity") as ours:
        for turn in range(options.rounds):
            for size, elements in SIZES.items():
                setting.say(f"wire: {size}, round {turn + 1} of {options.rounds}")
                record[size]["triton"].append(round_trip_us(theirs, elements))
                record[size]["precis"].append(round_trip_us(ours, elements))
    setting.print_table(
        "Round trip of an identity model, perf_analyzer, one client, median, us", ("tensor", "Precis", "Triton", "of Triton"),
        [(size, f"{setting.median(row['precis']):.0f}", f"{setting.median(row['triton']):.0f}",
          f"{setting.median([a / b for a, b in zip(row['precis'], row['triton'])]):.2f}") for size, row in record.items()])
    return record
