"""Accuracy of real networks served at each precision, by `precis compare`; of MiniLM by its similarity scores."""
import csv
import os
import tempfile

import numpy as np
from PIL import Image

import setting

VARIANTS = ("fp32", "bf16", "fp16", "int8")
IMAGENET = ((.485, .456, .406), (.229, .224, .225))
CIFAR = ((.4914, .4822, .4465), (.2023, .1994, .2010))
# Network -> data folder, (mean, std), rows to evaluate; the first 100 rows calibrate.
MODELS = {
    "mobilenet_v2": ("imagenet500", IMAGENET, "100:"),
    "squeezenet1_1": ("imagenet500", IMAGENET, "100:"),
    "resnet20_cifar10": ("cifar10_2000", CIFAR, "100:1100"),
    "vit_cifar10": ("cifar10_2000", CIFAR, "100:1100"),
}
CALIBRATION_ROWS = 100
REPOSITORY = f"{setting.WORK}/repository"


def read_images(data, count):
    """The first `count` images of a data folder, u8 [N,H,W,3]."""
    folder = f"{setting.SHARED}/data/{data}"
    if os.path.exists(f"{folder}/images.npy"):
        return np.load(f"{folder}/images.npy")[:count]
    with open(f"{folder}/labels.csv", encoding="utf-8") as f:
        files = [row["file"] for row in csv.DictReader(f)][:count]
    return np.stack([np.asarray(Image.open(f"{folder}/{file}").convert("RGB")) for file in files])


def image_calibration(name):
    """Puts a network and its calibration samples into the repository; returns the calibration folder."""
    data, (mean, std), _ = MODELS[name]
    numbers = "".join(f"  {key}: {value}\n" for key, values in (("mean", mean), ("std", std)) for value in values)
    folder = setting.add_model(REPOSITORY, name, [f"{setting.SHARED}/models/{name}.onnx"], f"preprocessing {{\n{numbers}}}\n")
    if not os.path.exists(f"{folder}/input.npy"):
        images = read_images(data, CALIBRATION_ROWS).astype(np.float32) / 255
        np.save(f"{folder}/input.npy", ((images - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2).copy())
    return folder


def pairs(key):
    """Token ids and mask of one side of every sentence pair, as the model's inputs."""
    folder = f"{setting.SHARED}/data/stsb600"
    ids, mask = (np.load(f"{folder}/{name}_{key}.npy").astype(np.int64) for name in ("input_ids", "attention_mask"))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def minilm_calibration():
    path = setting.speed_model("minilm_l6")
    folder = setting.add_model(REPOSITORY, "minilm_l6", [path, path.replace(".onnx", ".bin")])
    if not os.path.exists(f"{folder}/pairs.npz"):
        a, b = pairs("a"), pairs("b")
        np.savez(f"{folder}/pairs.npz", **{name: np.concatenate([a[name][:CALIBRATION_ROWS], b[name][:CALIBRATION_ROWS]]) for name in a})
    return folder


def ranks(values):
    """Ranks from 0, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def embeddings(address, variant):
    """Embeddings of the last 500 pairs' sentences, [1000, 384], side a first."""
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for key in "ab":
            np.savez(f"{folder}/in.npz", **{name: values[CALIBRATION_ROWS:] for name, values in pairs(key).items()})
            setting.output_of([setting.DEV, "run", "precis", "infer", f"minilm_l6@{variant}", f"--server={address}",
                               f"{folder}/in.npz", f"--save={folder}/out.npz", "--timeout=20m"])
            with np.load(f"{folder}/out.npz") as out:
                result.append(out["sentence_embedding"])
    return np.concatenate(result)


def decibels(value):
    return "equal" if value is None else f"{value:.1f}"


def measure_minilm(address):
    scores = ranks(np.load(f"{setting.SHARED}/data/stsb600/scores.npy")[CALIBRATION_ROWS:])
    record, want = {}, None
    for variant in VARIANTS:
        setting.say(f"accuracy: minilm_l6@{variant}")
        setting.output_of([setting.DEV, "run", "precis", "load", f"minilm_l6@{variant}", f"--server={address}", "--json"])
        got = embeddings(address, variant)
        want = got if want is None else want
        a, b = np.split(unit(got), 2)
        noise = float(((got - want) ** 2).sum())
        record[variant] = {
            "spearman": float(np.corrcoef(ranks((a * b).sum(1)), scores)[0, 1]),
            "cosine": float((unit(got) * unit(want)).sum(1).mean()),
            "sqnr_db": 10 * float(np.log10((want ** 2).sum() / noise)) if noise else None,
        }
    setting.print_table("MiniLM-L6 on the last 500 pairs of stsb600, calibrated on the first 100",
                        ("variant", "Spearman", "mean cosine with fp32", "SQNR, dB"),
                        [(v, f"{r['spearman']:.4f}", f"{r['cosine']:.5f}", decibels(r["sqnr_db"])) for v, r in record.items()])
    return record


def measure(options):
    record = {}
    for name in filter(options.wants, MODELS):
        image_calibration(name)
    minilm = options.wants("minilm_l6") and minilm_calibration()
    with setting.server(REPOSITORY, "--load=none") as address:
        for name in filter(options.wants, MODELS):
            data, _, rows = MODELS[name]
            for variant in VARIANTS:
                setting.say(f"accuracy: loading {name}@{variant}")
                setting.output_of([setting.DEV, "run", "precis", "load", f"{name}@{variant}", f"--server={address}", "--json"])
            setting.say(f"accuracy: comparing {name} on {data} {rows}")
            record[name] = setting.precis("precis", "compare", name, f"--server={address}", f"--variants={','.join(VARIANTS)}",
                                          f"--data={setting.SHARED}/data/{data}",
                                          f"--rows={rows}", "--json")["variants"]
        if record:
            setting.print_table("Image networks through gRPC, calibrated on the data's first 100 rows, evaluated on others",
                                ("network", "variant", "top-1", "agrees with fp32", "SQNR, dB", "median, ms", "weights, MB", "samples"),
                                [(name, row["variant"], f"{row['top1']:.2f} %", f"{row['agreement']:.2f} %",
                                  decibels(row["sqnr_db"]),
                                  f"{row['latency_ms']['p50']:.2f}", f"{row['weight_bytes'] / 1e6:.2f}", row["samples"])
                                 for name, table in record.items() for row in table])
        if minilm:
            record["minilm_l6"] = measure_minilm(address)
    return record
