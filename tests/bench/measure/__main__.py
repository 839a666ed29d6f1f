"""Measures Precis against its peers on the machine at hand and prints the tables of README.md.

    ./dev measure [accuracy] [speed] [load] [wire] [throughput] [memory] [shadow] [--rounds N] [--models NAME,…] [--out FILE.json]

accuracy   top-1, agreement with fp32 and SQNR of real networks served at each precision; sentence similarity of MiniLM
speed      one call in process, batch 1, one and two threads, beside OpenVINO in the same run, and over the sum of the plan's primitives
load       calibrating, quantizing and compiling mobilenet_v2 with 100 images on one thread
throughput inferences per second with all cores busy, beside the engine alone and beside Triton running OpenVINO in the same run
memory     bytes and time of a network that does little but read its weights, beside OpenVINO's time and the machine's peak
wire       an identity model's round trip by perf_analyzer, beside Triton's in the same run
shadow     latency at 70 % load while 5 % of the requests run again on fp32 in the background, against none

Without a name: all of them. Needs ../shared (networks, data, tools/peers.sh), Python with venv, and the registries or mirrors that peers.sh
uses; says what is missing otherwise. Peers run on this machine as it is, Precis through ./dev. What is compared is measured in turns,
and the table has the median over the rounds. Close everything else first.
"""
import argparse
import json
import os
import subprocess
import sys

import setting


def restart_under_peers_python():
    """NumPy and Pillow come with the peers' environment: this file runs in it."""
    missing = setting.missing()
    if missing:
        sys.exit(f"./dev measure: {missing}")
    python = setting.peers_python()
    if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
        os.execv(python, [python, *sys.argv])


def main():
    restart_under_peers_python()
    import accuracy
    import memory
    import shadow
    import speed
    import throughput
    import wire

    measures = {"accuracy": accuracy.measure, "speed": speed.measure, "load": speed.measure_load, "wire": wire.measure,
                "throughput": throughput.measure, "memory": memory.measure, "shadow": shadow.measure}
    parser = argparse.ArgumentParser(prog="./dev measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=", ".join(measures))
    parser.add_argument("--rounds", type=int, default=3, help="turns that each side of a comparison has")
    parser.add_argument("--models", default="", help="only these, by name")
    parser.add_argument("--out", default="", help="all that was measured, as JSON")
    parser.add_argument("--no-build", action="store_true", help="measure the binaries as they are")
    arguments = parser.parse_args()
    for name in arguments.what:
        if name not in measures:
            parser.error(f"{name}: want {', '.join(measures)}")
    options = setting.Options(rounds=arguments.rounds, models=[m for m in arguments.models.split(",") if m])

    if not arguments.no_build:
        subprocess.run([setting.DEV, "build", "precisd", "precis", "precis_bench"], check=True, stdout=sys.stderr)
    print(setting.describe_machine(), flush=True)
    record = {"machine": setting.describe_machine()}
    for name in arguments.what or measures:
        record[name] = measures[name](options)
        if arguments.out:
            with open(arguments.out, "w", encoding="utf-8") as f:
                json.dump(record, f, indent=1)


if __name__ == "__main__":
    main()
