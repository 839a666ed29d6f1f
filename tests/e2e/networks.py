"""The networks of the end-to-end tests, with what they compute written in NumPy, and model repositories of them."""
from pathlib import Path

import numpy as np

from onnx_writer import model, node, value_info

CLASSES = 10


class Classifier:
    """image [n,3,8,8] -> 3x3 convolution to 8 channels, ReLU, mean over the picture, linear -> logits [n,10]."""

    def __init__(self):
        rng = np.random.default_rng(7)
        self.weights = {
            "kernel": rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32),
            "kernel_bias": rng.normal(0, 0.3, 8).astype(np.float32),
            "linear": rng.normal(0, 1, (8, CLASSES)).astype(np.float32),
            "linear_bias": rng.normal(0, 0.3, CLASSES).astype(np.float32),
        }

    def file(self) -> bytes:
        return model(
            [node("Conv", ["image", "kernel", "kernel_bias"], ["features"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
             node("Relu", ["features"], ["active"]),
             node("GlobalAveragePool", ["active"], ["means"]),
             node("Flatten", ["means"], ["flat"], axis=1),
             node("Gemm", ["flat", "linear", "linear_bias"], ["logits"])],
            [value_info("image", "float32", ["batch", 3, 8, 8])], [value_info("logits", "float32", ["batch", CLASSES])],
            self.weights)

    def expected(self, images: np.ndarray, weights: dict[str, np.ndarray] | None = None) -> np.ndarray:
        weights = weights or self.weights
        padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        features = np.einsum("nchwij,ocij->nohw", windows, weights["kernel"])
        active = np.maximum(features + weights["kernel_bias"][None, :, None, None], 0)
        return (active.mean(axis=(2, 3)) @ weights["linear"] + weights["linear_bias"]).astype(np.float32)

    @staticmethod
    def images(count: int, seed: int = 1) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, 1, (count, 3, 8, 8)).astype(np.float32)


class LongSums:
    """x [n,4096], positive numbers around 1 -> a product with weights around 1/4: logits [n,10] of about 1000 that a few units tell apart."""
    LENGTH = 4096

    def __init__(self):
        self.weights = {"w": np.random.default_rng(11).normal(0.25, 0.05, (self.LENGTH, CLASSES)).astype(np.float32)}

    def file(self) -> bytes:
        return model([node("MatMul", ["x", "w"], ["logits"])], [value_info("x", "float32", ["batch", self.LENGTH])],
                     [value_info("logits", "float32", ["batch", CLASSES])], self.weights)

    def expected(self, x: np.ndarray) -> np.ndarray:
        return x.astype(np.float64) @ self.weights["w"].astype(np.float64)

    @classmethod
    def inputs(cls, count: int) -> np.ndarray:
        return np.random.default_rng(5).uniform(0, 2, (count, cls.LENGTH)).astype(np.float32)


def two_inputs_file() -> bytes:
    """ids INT64 [n,4], x FP32 [n,4] -> total = float(ids) + x, product = float(ids) * x."""
    return model(
        [node("Cast", ["ids"], ["numbers"], to=1),
         node("Add", ["numbers", "x"], ["total"]),
         node("Mul", ["numbers", "x"], ["product"])],
        [value_info("ids", "int64", ["n", 4]), value_info("x", "float32", ["n", 4])],
        [value_info("total", "float32", ["n", 4]), value_info("product", "float32", ["n", 4])], {})


SLOW_SIZE, SLOW_LAYERS = 512, 150


def slow_file() -> bytes:
    """x [512,512] -> 150 products with one orthogonal matrix: 20 billion multiply-adds, a third of a second and more, with 1 MB
    of weights."""
    orthogonal, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(SLOW_SIZE, SLOW_SIZE)))
    names = ["x", *(f"y{i}" for i in range(SLOW_LAYERS))]
    return model([node("MatMul", [names[i], "w"], [names[i + 1]]) for i in range(SLOW_LAYERS)],
                 [value_info("x", "float32", [SLOW_SIZE, SLOW_SIZE])],
                 [value_info(names[-1], "float32", [SLOW_SIZE, SLOW_SIZE])], {"w": orthogonal.astype(np.float32)})


def unsupported_file() -> bytes:
    """A network with an operator that ONNX has and no server of pictures needs."""
    return model([node("Det", ["x"], ["y"])], [value_info("x", "float32", [2, 2])], [value_info("y", "float32", [])], {})


def add_model(repository: Path, name: str, file: bytes, calibration: np.ndarray | None = None, precision: str = "",
              config: str = "", version: int = 1) -> None:
    """Puts one model into a repository in Triton's layout."""
    folder = repository / name
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.onnx").write_bytes(file)
    if calibration is not None:
        (folder / "calibration").mkdir()
        np.save(folder / "calibration" / "samples.npy", calibration)
    if precision:
        (folder / "precision.textproto").write_text(precision)
    if config:
        (folder / "config.pbtxt").write_text(config)
