"""Live requests compared with fp32 in the background: what is found, the alarm, and what it does, on the demo's network and images."""
import json
import shutil
import time
import unittest
from pathlib import Path

import grpc
import numpy as np
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc

from precisd import ServerTest, precis

DEMO = Path(__file__).resolve().parents[2] / "demo"
SERVING, NOT_SERVING = 1, 2
# int8 answers all; every request is compared.
PRECISION = """
traffic { split { variant: "int8" percent: 100 } shadow { variant: "int8" rate: 1 } }
drift { alerts { variant: "int8" min_sqnr_db: 20 min_top1_agreement: 0.9 max_psi: 1 min_samples: 40 move_traffic: true } }
"""
WAIT_SECONDS = 120


def images() -> np.ndarray:
    """1,000 test images as pixels of 0 to 1."""
    return np.load(DEMO / "data" / "images.npy").astype(np.float32).reshape(-1, 1, 28, 28) / 255


def normalised(pixels: np.ndarray) -> np.ndarray:
    return ((pixels - 0.2860) / 0.3530).astype(np.float32)


class DriftCase(ServerTest):
    @classmethod
    def build(cls, repository: Path) -> None:
        shutil.copytree(DEMO / "repository" / "fashion", repository / "fashion")
        precision = repository / "fashion" / "precision.textproto"
        precision.write_text(precision.read_text() + PRECISION)

    def setUp(self):
        self.client = triton.InferenceServerClient(self.server.target)
        self.addCleanup(self.client.close)
        channel = grpc.insecure_channel(self.server.target)
        self.addCleanup(channel.close)
        self.health = health_pb2_grpc.HealthStub(channel)

    def send(self, pixels: np.ndarray) -> list[str]:
        """One request an image; the variants that answered."""
        answerers = []
        for image in normalised(pixels):
            tensor = triton.InferInput("image", [1, 1, 28, 28], "FP32")
            tensor.set_data_from_numpy(image[None])
            answerers.append(self.client.infer("fashion", [tensor]).get_response().parameters["precis_variant"].string_param)
        return answerers

    def drift(self, variant: str = "int8") -> dict:
        outcome = precis(self.server, "drift", f"fashion@{variant}", "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return json.loads(outcome.stdout)

    def wait_for(self, condition, what: str) -> dict:
        """The drift that satisfies the condition."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            drift = self.drift()
            if condition(drift):
                return drift
            time.sleep(0.2)
        self.fail(f"no {what} within {WAIT_SECONDS} s: {drift}\n{self.server.log_text()}")

    def status_of(self, name: str) -> int:
        return self.health.Check(health_pb2.HealthCheckRequest(service=name)).status

    def metric(self, name: str, **labels: str) -> float:
        return self.server.metric(name, model="fashion", version="1", variant="int8", **labels)


class UnchangedImagesTest(DriftCase):
    def test_unchanged_images_are_measured_and_raise_no_alarm(self):
        pixels = images()
        for first in range(0, len(pixels), 50):  # in bursts that the queue holds; where the machine has no idle time, samples are dropped
            self.assertEqual(set(self.send(pixels[first:first + 50])), {"int8"})
            drift = self.wait_for(lambda drift, sent=first + 50: drift["samples"] + drift["dropped_samples"] >= sent, "end of a burst")
            if drift["samples"] >= 120:
                break
        self.assertGreaterEqual(drift["samples"], 120)
        self.assertFalse(drift["alarm"], drift)
        self.assertEqual(drift["baseline"], "fp32")
        for name in ("sqnr_db", "cosine", "top1_agreement"):
            self.assertLessEqual(drift[f"{name}_low"], drift[name])
            self.assertLessEqual(drift[name], drift[f"{name}_high"])
        self.assertGreater(drift["sqnr_db"], 20)
        self.assertGreater(drift["max_abs_error"], 0)
        self.assertEqual([window["window"] for window in drift["windows"]], ["1m", "10m", "load"])
        self.assertEqual(drift["windows"][1]["samples"], drift["samples"])
        self.assertEqual([output["name"] for output in drift["windows"][2]["outputs"]], ["logits"])
        layers = drift["windows"][2]["layers"]
        self.assertGreater(len(layers), 3)
        self.assertGreater(drift["windows"][2]["layer_samples"], 20)
        self.assertEqual(self.status_of("fashion@int8"), SERVING)

        self.assertEqual(self.metric("precis_drift_samples_total"), drift["samples"])
        self.assertAlmostEqual(self.metric("precis_drift_sqnr_db"), drift["sqnr_db"], places=2)
        self.assertAlmostEqual(self.metric("precis_drift_cosine_similarity"), drift["cosine"], places=5)
        self.assertAlmostEqual(self.metric("precis_drift_top1_agreement_ratio"), drift["top1_agreement"], places=5)
        self.assertAlmostEqual(self.metric("precis_drift_max_abs_error"), drift["max_abs_error"], places=5)
        for layer in layers:
            self.assertAlmostEqual(self.metric("precis_input_clipped_ratio", layer=layer["name"]), layer["clipped_ratio"], places=5)
        self.assertIn("int8 against fp32", precis(self.server, "drift", "fashion@int8").stdout)

    def test_the_baseline_has_no_drift(self):
        outcome = precis(self.server, "drift", "fashion@fp32")
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("baseline", outcome.stderr)


class ChangedImagesTest(DriftCase):
    def test_noise_and_contrast_raise_the_alarm_which_moves_the_traffic(self):
        noise = np.random.default_rng(3).normal(0, 0.5, (1000, 1, 28, 28))
        pixels = (images() - 0.5) * 2 + 0.5 + noise  # twice the contrast, and noise
        for first in range(0, 1000, 50):
            self.send(pixels[first:first + 50])
            drift = self.wait_for(lambda drift, sent=first + 50: drift["alarm"] or drift["samples"] + drift["dropped_samples"] >= sent,
                                  "end of a burst")
            if drift["alarm"]:
                break
        self.assertTrue(drift["alarm"], drift)
        self.assertNotEqual(drift["alarm_reason"], "")
        end = time.monotonic() + WAIT_SECONDS
        while self.status_of("fashion@int8") != NOT_SERVING and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.status_of("fashion@int8"), NOT_SERVING)
        self.assertEqual(self.status_of("fashion"), SERVING)
        self.assertEqual(self.metric("precis_drift_alarm"), 1)
        self.assertEqual(self.metric("precis_drift_alarms_total"), 1)
        self.assertEqual(self.metric("precis_drift_traffic_moves_total"), 1)
        self.assertEqual(set(self.send(images()[:20])), {"fp32"})
        self.assertIn("drift alarm: fashion@int8", self.server.log_text())
        shown = json.loads(precis(self.server, "traffic", "fashion", "--json").stdout)
        self.assertEqual({share["variant"]: share["percent"] for share in shown["split"]}, {"int8": 0, "fp32": 100})


if __name__ == "__main__":
    unittest.main(verbosity=2)
