#!/usr/bin/env python3
"""Trains the demo's network on Fashion-MNIST and writes everything that the demo needs.

    ./dev train [--epochs N] [--threads N] [--seed N]

Needs the packages of deploy/packages.train, and about 15 minutes of one core. The results are committed: nobody has to run
this to run the demo.

    demo/repository/fashion/1/model.onnx       input "image" f32 [batch,1,28,28], normalised; output "logits" f32 [batch,10]
    demo/repository/fashion/calibration/       128 training images, as the model's input wants them
    demo/data/images.npy, labels.npy           the first 1,000 test images, u8 [1000,28,28,1], and their classes
    demo/training.log                          how training went, and the accuracy on all 10,000 test images

The network is small but has what makes a real one hard to quantize: batch norm (kept as nodes of the file; the engine folds
them), depthwise convolutions, residual sums and a linear classifier behind global average pooling.
"""
import argparse
import gzip
import os
import time

import numpy as np
import onnx
import onnx.reference
import torch
from torch import nn
from torch.nn import functional as F

DATASET = "/usr/share/datasets/fashion-mnist"
DEMO = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(DEMO, "repository/fashion")
MEAN, STD = 0.2860, 0.3530  # of the training images, on a scale of 0 to 1; precision.textproto says the same
BATCH = 128


def read_idx(name):
    """One IDX file (u8): two zero bytes, a type byte, the rank, the dimensions as big-endian u32, the data."""
    path = f"{DATASET}/{name}.gz"
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: install Debian's dataset-fashion-mnist (./dev train does)")
    with gzip.open(path) as f:
        data = f.read()
    rank = data[3]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(np.frombuffer(data, ">u4", rank, 4))


def normalise(images_u8):
    """u8 [N,28,28] to the model's input."""
    return ((images_u8.astype(np.float32) / 255 - MEAN) / STD)[:, None]


def conv(inputs, outputs, size, stride=1, groups=1, relu=True):
    layers = [nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Residual(nn.Module):
    """relu(x + f(x)) as in ResNet; without the relu as in MobileNetV2."""

    def __init__(self, body, relu):
        super().__init__()
        self.body, self.relu = body, relu

    def forward(self, x):
        y = x + self.body(x)
        return F.relu(y) if self.relu else y


def network():
    return nn.Sequential(
        conv(1, 16, 3), conv(16, 16, 3, stride=2, groups=16), conv(16, 32, 1),
        Residual(nn.Sequential(conv(32, 32, 3), conv(32, 32, 3, relu=False)), relu=True),
        conv(32, 32, 3, stride=2, groups=32), conv(32, 64, 1),
        Residual(nn.Sequential(conv(64, 64, 3), conv(64, 64, 3, relu=False)), relu=True),
        Residual(nn.Sequential(conv(64, 192, 1), conv(192, 192, 3, groups=192), conv(192, 64, 1, relu=False)), relu=False),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def augment(x):
    """Shifts each image by up to two pixels and mirrors half of them."""
    n, padded = len(x), F.pad(x, (2, 2, 2, 2), value=-MEAN / STD)
    dy, dx = torch.randint(0, 5, (2, n))
    windows = padded.unfold(2, 28, 1).unfold(3, 28, 1)  # [n,1,5,5,28,28], a view
    x = windows[torch.arange(n), :, dy, dx]
    return torch.where((torch.rand(n) < 0.5)[:, None, None, None], x.flip(3), x)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    right = sum(int((model(x[i:i + 500]).argmax(1) == y[i:i + 500]).sum()) for i in range(0, len(x), 500))
    return 100 * right / len(x)


def train(model, x, y, test_x, test_y, epochs, say):
    steps = len(x) // BATCH
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, epochs=epochs, steps_per_epoch=steps)
    start = time.time()
    for epoch in range(1, epochs + 1):
        model.train()
        order, total = torch.randperm(len(x)), 0.0
        for step in range(steps):
            rows = order[step * BATCH:(step + 1) * BATCH]
            loss = F.cross_entropy(model(augment(x[rows])), y[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        say(f"epoch {epoch:2d}/{epochs}: loss {total / steps:.4f}, test accuracy {accuracy(model, test_x, test_y):.2f} %, "
            f"{time.time() - start:.0f} s")


def export(model, path, probe):
    """Writes the ONNX file and checks it against the model: BatchNormalization kept, batch symbolic, same logits."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    model.eval()
    # PRESERVE keeps the exporter from folding batch norm, as it does when told that the file is for inference.
    torch.onnx.export(model, probe[:1], path, input_names=["image"], output_names=["logits"], opset_version=17,
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, dynamo=False)
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert any(node.op_type == "BatchNormalization" for node in file.graph.node)
    assert os.path.getsize(path) <= 1 << 20
    with torch.no_grad():
        want = model(probe).numpy()
    got = onnx.reference.ReferenceEvaluator(file).run(None, {"image": probe.numpy()})[0]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)

    train_images, train_labels = read_idx("train-images-idx3-ubyte"), read_idx("train-labels-idx1-ubyte")
    test_images, test_labels = read_idx("t10k-images-idx3-ubyte"), read_idx("t10k-labels-idx1-ubyte")
    x, test_x = torch.from_numpy(normalise(train_images)), torch.from_numpy(normalise(test_images))
    y, test_y = torch.from_numpy(train_labels.astype(np.int64)), torch.from_numpy(test_labels.astype(np.int64))

    model = network().to(memory_format=torch.channels_last)
    with open(os.path.join(DEMO, "training.log"), "w", encoding="utf-8") as log:
        def say(line):
            print(line, flush=True)
            print(line, file=log, flush=True)

        parameters = sum(p.numel() for p in model.parameters())
        say(f"torch {torch.__version__}, seed {arguments.seed}, {parameters} parameters, {len(x)} training images")
        train(model, x, y, test_x, test_y, arguments.epochs, say)
        path = os.path.join(MODEL, "1/model.onnx")
        export(model.to(memory_format=torch.contiguous_format), path, test_x[:16])
        say(f"top-1 on the {len(test_x)} test images: {accuracy(model, test_x, test_y):.2f} %; "
            f"on the first 1000: {accuracy(model, test_x[:1000], test_y[:1000]):.2f} %; "
            f"model.onnx: {os.path.getsize(path)} bytes")

    rows = np.random.default_rng(arguments.seed).permutation(len(train_images))[:128]
    os.makedirs(os.path.join(MODEL, "calibration"), exist_ok=True)
    np.save(os.path.join(MODEL, "calibration/image.npy"), normalise(train_images[np.sort(rows)]))
    os.makedirs(os.path.join(DEMO, "data"), exist_ok=True)
    np.save(os.path.join(DEMO, "data/images.npy"), test_images[:1000, :, :, None])
    np.save(os.path.join(DEMO, "data/labels.npy"), test_labels[:1000].astype(np.int64))


if __name__ == "__main__":
    main()
