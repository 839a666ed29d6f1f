"""What the measurements share: where things are, how Precis and its peers are called, how a table is printed."""
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
SHARED = os.path.join(os.path.dirname(CHECKOUT), "shared")
DEV = os.path.join(CHECKOUT, "dev")
PEERS_SH = os.path.join(SHARED, "tools/peers.sh")
PEERS = os.environ.get("PEERS", "/var/cache/peers")
# Networks, calibration samples and repositories made once. /tmp is the same inside and outside ./dev's root.
WORK = os.environ.get("PRECIS_MEASURE_DIR", "/tmp/precis-measure")


@dataclasses.dataclass
class Options:
    rounds: int
    models: list  # empty: all

    def wants(self, model):
        return not self.models or model in self.models


def missing():
    """What keeps the measurements from running, or None."""
    if not os.path.isfile(PEERS_SH):
        return f"there is no {SHARED} beside this checkout; the networks, the data and the peers come from there"
    if not os.path.exists(peers_python()):
        say("setting up the peers (OpenVINO, NNCF, ONNX Runtime, Triton, perf_analyzer); some minutes")
        if subprocess.run(["bash", PEERS_SH, "setup"], stdout=sys.stderr).returncode:
            return f"{PEERS_SH} setup failed; the measurements need what it installs"
    return None


def peers_python():
    return f"{PEERS}/runtimes/bin/python"


def say(text):
    print(text, file=sys.stderr, flush=True)


def describe_machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "unknown CPU")
    commit = subprocess.run(["git", "-C", CHECKOUT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, commit {commit}, {time.strftime('%Y-%m-%d')}"


def output_of(command, tries=1):
    """Standard output of a command; ends the program with its last error lines when it fails."""
    for _ in range(tries):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
    sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n" + "\n".join(done.stderr.splitlines()[-15:]))


def json_of(command):
    return json.loads(output_of(command).splitlines()[-1])


def peers_json(*arguments):
    return json_of(["bash", PEERS_SH, *arguments])


def precis(*arguments):
    """A built binary's JSON: precis("precis_bench", …)."""
    return json_of([DEV, "run", *arguments])


def speed_model(name):
    """Path of a network of make_speed_models.py or make_minilm.py, made at first."""
    folder = f"{WORK}/models"
    path = f"{folder}/{name}.onnx"
    if not os.path.exists(path):
        say(f"making {path}")
        os.makedirs(folder, exist_ok=True)
        tool = ["make_minilm.py", folder] if name == "minilm_l6" else ["make_speed_models.py", folder, name]
        output_of([peers_python(), f"{SHARED}/tools/{tool[0]}", *tool[1:]])
    return path


def add_model(repository, name, files, precision=""):
    """A model folder in `repository` with copies of `files`, the first of which is the model."""
    folder = f"{repository}/{name}/1"
    os.makedirs(folder, exist_ok=True)
    os.makedirs(f"{repository}/{name}/calibration", exist_ok=True)
    for i, path in enumerate(files):
        target = f"{folder}/{os.path.basename(path) if i else 'model.onnx'}"
        if not os.path.exists(target):
            shutil.copyfile(path, target)
    if precision:
        with open(f"{repository}/{name}/precision.textproto", "w", encoding="utf-8") as f:
            f.write(precision)
    return f"{repository}/{name}/calibration"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def on_core(core, command):
    """The command kept to one core; core None: anywhere."""
    return command if core is None else ["taskset", "-c", str(core), *command]


@contextlib.contextmanager
def server(repository, *flags, core=None):
    """precisd on a repository and free ports; gives its HOST:PORT when the models of --load are there."""
    with tempfile.TemporaryFile("w+") as log:
        command = [DEV, "run", "precisd", f"--model_repository={repository}", "--grpc_address=127.0.0.1", "--grpc_port=0", "--metrics_port=0",
                   "--drain_seconds=0", *flags]
        process = subprocess.Popen(on_core(core, command), stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            address = None
            for line in process.stdout:  # "precisd listening grpc=HOST:PORT …", then "precisd ready …"
                if "listening" in line:
                    address = line.split("grpc=")[1].split()[0]
                if "ready" in line:
                    break
            else:
                log.seek(0)
                sys.exit("precisd did not start:\n" + log.read()[-2000:])
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def median(values):
    return statistics.median(values)


def print_table(title, heads, rows):
    print(f"\n**{title}**\n\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    sys.stdout.flush()
