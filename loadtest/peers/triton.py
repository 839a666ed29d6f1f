"""A real Triton on this machine: its repository, its process."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import environments

HERE = Path(__file__).resolve().parent
START_SECONDS = 120
DATATYPES = {"f32": "FP32", "f16": "FP16", "i64": "INT64", "i32": "INT32", "i8": "INT8", "u8": "UINT8", "boolean": "BOOL", "f64": "FP64"}

# Prints a model's inputs and outputs as NAME TYPE, inputs first, with a line between.
SIGNATURE = """
import sys, openvino
model = openvino.Core().read_model(sys.argv[1])
for tensors in (model.inputs, model.outputs):
    for t in tensors:
        print(t.get_any_name(), t.get_element_type().get_type_name(), len(t.get_partial_shape()))
    print()
"""


def signature(file: Path):
    python = environments.environment("runtimes") / "bin/python"
    text = subprocess.run([python, "-c", SIGNATURE, file], check=True, capture_output=True, text=True).stdout
    return [[line.rsplit(" ", 2) for line in part.splitlines()] for part in text.strip("\n").split("\n\n")]


def add_model(repository: Path, name: str, file: Path, shapes: dict[str, list[int]], precision: str, instances: int) -> None:
    """`name` runs `file` (.onnx or .xml) at fixed shapes of its inputs, in as many one-thread processes as there are instances."""
    inputs, outputs = signature(file)
    tensor = '{{ name: "{}" data_type: TYPE_{} dims: {} }}'.format
    lists = {"input": [tensor(n, DATATYPES[t], shapes[n]) for n, t, _ in inputs],
             "output": [tensor(n, DATATYPES[t], [-1] * int(rank)) for n, t, rank in outputs]}
    (repository / name / "1").mkdir(parents=True)
    shutil.copy(HERE / "triton_model.py", repository / name / "1/model.py")
    (repository / name / "config.pbtxt").write_text(
        f'name: "{name}"\nbackend: "python"\nmax_batch_size: 0\n'
        + "".join(f"{key} [{', '.join(values)}]\n" for key, values in lists.items())
        + f"instance_group [{{ kind: KIND_CPU count: {instances} }}]\n"
        + f'parameters {{ key: "file" value: {{ string_value: "{file.resolve()}" }} }}\n'
        + f'parameters {{ key: "precision" value: {{ string_value: "{precision}" }} }}\n')


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(repository: Path, port: int) -> tuple[list, dict]:
    """tritonserver's command line and environment: the wheel holds the server, and a stub of its Python backend for each Python."""
    home = environments.environment("triton")
    server = next(home.glob("lib/python3*/site-packages/pytriton/tritonserver"), None)
    if server is None:
        sys.exit(f"peers: {home} holds no Triton; remove the folder to install it again")
    python = home / "bin/python"
    version, libraries = subprocess.run(
        [python, "-c", "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_config_var('LIBDIR'))"],
        check=True, capture_output=True, text=True).stdout.split()
    stubs = server / "python_backend_stubs" / version
    if stubs.is_dir():
        for stub in stubs.iterdir():
            if not (server / "backends/python" / stub.name).exists():
                shutil.copy(stub, server / "backends/python")
    flags = [server / "bin/tritonserver", f"--model-repository={repository}", f"--backend-directory={server}/backends",
             f"--grpc-port={port}", "--grpc-address=127.0.0.1", "--allow-http=false", "--allow-metrics=false"]
    env = os.environ | {"PATH": f"{home}/bin:{os.environ['PATH']}", "LD_LIBRARY_PATH": f"{server}/lib:{libraries}"}
    return flags, env


@contextlib.contextmanager
def running(repository: Path):
    """Gives Triton's HOST:PORT when its models are loaded."""
    port = free_port()
    flags, env = command(repository, port)
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(flags, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + START_SECONDS
            while not listens(port):
                log.seek(0)
                if process.poll() is not None or time.monotonic() > end:
                    sys.exit("peers: Triton did not start:\n" + log.read()[-3000:])
                time.sleep(0.2)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def listens(port: int) -> bool:
    """Triton opens its port when every model is ready."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0
