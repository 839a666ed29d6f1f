"""Memory traffic of a network that does little but read its weights: bytes and time at each precision, beside OpenVINO and the machine's peak."""
import os

import numpy as np

import setting
import speed

MODEL, SHAPE, ROWS = "mlp_4096", "1,4096", 16
REQUESTS = 15
# Besides the built-in variants.
POLICIES = {"w4": "precision: INT8 weights { bits: 4 }",
            "w4_groups_of_64": "precision: INT8 weights { bits: 4 granularity: PER_GROUP group_size: 64 } "
                               "accumulation { mode: CHUNKED chunk_size: 64 per_chunk_scales: true }"}


def repository():
    folder = f"{setting.WORK}/memory"
    path = setting.speed_model(MODEL)
    target = setting.add_model(folder, MODEL, [path])
    if not os.path.exists(f"{target}/x.npy"):
        np.save(f"{target}/x.npy", np.random.default_rng(0).standard_normal((ROWS, 4096)).astype(np.float32))
    with open(f"{folder}/{MODEL}/precision.textproto", "w", encoding="utf-8") as f:
        f.writelines(f'policies {{ name: "{name}" policy {{ {policy} }} }}\n' for name, policy in POLICIES.items())
    return folder


def bench(path, variant):
    if variant not in POLICIES:
        return speed.bench(path, SHAPE, variant, 1)
    policy = f"{setting.WORK}/{variant}.textproto"
    with open(policy, "w", encoding="utf-8") as f:
        f.write(POLICIES[variant])
    return speed.bench(path, SHAPE, "int8", 1, f"--policy={policy}")


def served_traffic():
    """variant -> what precis stats says of its memory after some requests, one at a time."""
    names = [f"{MODEL}@{variant}" for variant in (*speed.VARIANTS, *POLICIES)]
    with setting.server(repository(), "--load=" + ",".join(names)) as address:
        for name in names:
            for _ in range(REQUESTS):
                setting.precis("precis", f"--server={address}", "infer", name, "--random", "--json")
        models = setting.precis("precis", f"--server={address}", "stats", MODEL, "--json")["models"]
    return {model["name"].split("@")[1]: model["memory"] for model in models}


def measure(options):
    path = setting.speed_model(MODEL)
    int8 = speed.nncf_model(MODEL, path, SHAPE)
    ours, theirs = {v: [] for v in (*speed.VARIANTS, *POLICIES)}, {v: [] for v in speed.VARIANTS}
    for turn in range(options.rounds):
        setting.say(f"memory: {MODEL}, round {turn + 1} of {options.rounds}")
        peers = setting.peers_json("engines", path, "--shape", SHAPE, "--threads", "1", "--int8", int8)
        for variant, runs in ours.items():
            runs.append(bench(path, variant))
        for variant, key in speed.VARIANTS.items():
            theirs[variant].append(next(value for name, value in peers.items() if name.startswith(key)))
    traffic = served_traffic()
    rows = []
    for variant, runs in ours.items():
        ms = setting.median([run["median_ms"] for run in runs])
        moved = runs[0]["weight_bytes_per_item"] + runs[0]["activation_bytes_per_item"]
        counted = traffic[variant].get("measured_bytes_per_second")
        rows.append((variant, f"{runs[0]['weight_bytes_per_item'] / 1e6:.1f}", f"{runs[0]['activation_bytes_per_item'] / 1e6:.3f}", f"{ms:.2f}",
                     f"{setting.median(theirs[variant]):.2f}" if variant in theirs else "", f"{moved / ms / 1e6:.1f}", f"{traffic[variant]['bytes_per_second'] / 1e9:.1f}",
                     f"{counted / 1e9:.1f}" if counted else "not offered", f"{traffic[variant]['peak_bytes_per_second'] / 1e9:.1f}"))
    setting.print_table(f"{MODEL}, batch 1, one thread: what it moves and how long that takes",
                        ("variant", "weights, MB", "activations, MB", "ms", "OpenVINO, ms", "GB/s (computed)", "GB/s served (computed)",
                         "GB/s counted by the CPU", "peak read, all cores, GB/s"), rows)
    return {"precis": ours, "openvino": theirs, "served": traffic}
