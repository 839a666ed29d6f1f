"""One network at four precisions side by side, its metrics, and policies of its own."""
import json
import signal
import unittest
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

from networks import Classifier, add_model, two_inputs_file
from precisd import ServerTest, precis, start_precis

VARIANTS = ("fp32", "bf16", "fp16", "int8")
# Least signal-to-noise ratio against fp32, in dB: 8 bits of mantissa, 11 bits of mantissa, 8-bit integers in two layers.
LEAST_SQNR_DB = {"fp32": 100, "bf16": 30, "fp16": 45, "int8": 20}
PRECISION = """
policies { name: "careful" policy { precision: INT8 calibration { method: MIN_MAX } } }
preprocessing { mean: 0.5 std: 0.5 }
"""


def sqnr_db(want: np.ndarray, got: np.ndarray) -> float:
    noise = float(((want - got) ** 2).sum())
    return np.inf if noise == 0 else 10 * np.log10(float((want ** 2).sum()) / noise)


def binary(channel: np.ndarray) -> np.ndarray:
    return np.abs(channel).mean() * np.where(channel < 0, -1, 1)


def ternary(channel: np.ndarray) -> np.ndarray:
    """The best of all choices: the k largest keep their sign, times their mean magnitude."""
    order = np.argsort(-np.abs(channel).ravel())
    best = np.zeros(channel.size)
    for k in range(1, channel.size + 1):
        levels = np.zeros(channel.size)
        levels[order[:k]] = np.sign(channel.ravel()[order[:k]]) * np.abs(channel.ravel()[order[:k]]).mean()
        if ((levels - channel.ravel()) ** 2).sum() < ((best - channel.ravel()) ** 2).sum():
            best = levels
    return best.reshape(channel.shape)


class PrecisionTest(ServerTest):
    classifier = Classifier()
    flags = ("--load=" + ",".join(f"classifier@{variant}" for variant in VARIANTS),)

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", cls.classifier.file(), calibration=Classifier.images(32), precision=PRECISION)
        add_model(repository, "bare", cls.classifier.file())
        add_model(repository, "two", two_inputs_file())

    def setUp(self):
        self.client = triton.InferenceServerClient(self.server.target)
        self.addCleanup(self.client.close)

    def infer(self, name: str, images: np.ndarray) -> np.ndarray:
        tensor = triton.InferInput("image", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        return self.client.infer(name, [tensor]).as_numpy("logits")

    def json(self, *arguments: str) -> dict:
        outcome = precis(self.server, *arguments, "--json")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(outcome.stdout.count("\n"), 1)
        return json.loads(outcome.stdout)

    def test_each_precision_answers_as_closely_as_it_can(self):
        images = Classifier.images(64, seed=99)
        expected = self.classifier.expected(images)
        for variant in VARIANTS:
            self.assertGreater(sqnr_db(expected, self.infer(f"classifier@{variant}", images)), LEAST_SQNR_DB[variant], variant)

    def test_plain_name_is_the_first_variant(self):
        images = Classifier.images(1)
        np.testing.assert_array_equal(self.infer("classifier", images), self.infer("classifier@fp32", images))

    def test_lower_precision_holds_fewer_weight_bytes(self):
        models = {model["name"]: model for model in self.json("models")["models"]}
        held = {variant["name"]: variant["weight_bytes"] for variant in models["classifier"]["variants"]}
        for variant in VARIANTS:
            self.assertGreater(held[variant], 0)
        self.assertLess(held["bf16"], held["fp32"])
        self.assertLess(held["fp16"], held["fp32"])

    def test_int8_without_samples_says_where_to_put_them(self):
        outcome = precis(self.server, "load", "bare@int8", "--json")
        self.assertEqual(outcome.returncode, 1)
        error = json.loads(outcome.stdout)["error"]
        self.assertEqual(error["code"], "FAILED_PRECONDITION")
        self.assertIn("calibration", error["message"])

    def test_policy_of_the_model_is_a_variant_of_its_own(self):
        self.assertEqual(precis(self.server, "load", "classifier@careful").returncode, 0)
        images = Classifier.images(8)
        self.assertGreater(sqnr_db(self.classifier.expected(images), self.infer("classifier@careful", images)), 20)
        self.assertEqual(precis(self.server, "unload", "classifier@careful").returncode, 0)
        self.assertFalse(self.client.is_model_ready("classifier@careful"))

    def load_policy(self, policy: str):
        """Loads classifier@mine with that policy."""
        file = self.repository.parent / (self.repository.name + "-policy.textproto")
        file.write_text(policy)
        self.addCleanup(file.unlink, missing_ok=True)
        outcome = precis(self.server, "load", "classifier@mine", f"--policy={file}", "--json")
        return outcome.returncode, json.loads(outcome.stdout)

    def test_binary_and_ternary_weights_are_those_of_their_papers(self):
        images = Classifier.images(32, seed=3)
        weights = self.classifier.weights
        for scheme, quantize in (("BINARY", binary), ("TERNARY", ternary)):
            for execution in ("INTEGER_ONLY", "SIMULATED"):
                code, reply = self.load_policy(f"precision: INT8 execution: {execution} weights {{ scheme: {scheme} }} "
                                               "calibration { bias_correction: false }")
                self.assertEqual(code, 0, reply)
                quantized = dict(weights, kernel=np.stack([quantize(channel) for channel in weights["kernel"]]),
                                 linear=np.stack([quantize(channel) for channel in weights["linear"].T]).T)
                got = self.infer("classifier@mine", images)
                self.assertGreater(sqnr_db(self.classifier.expected(images, quantized), got), 25, scheme)
                self.assertLess(sqnr_db(self.classifier.expected(images), got), 20, scheme)
                self.assertEqual(precis(self.server, "unload", "classifier@mine").returncode, 0)

    def test_schemes_of_weights_come_by_short_flags_and_are_named_in_the_plan(self):
        images = Classifier.images(32, seed=3)
        expected = self.classifier.expected(images)
        kept = {}
        for scheme, flags in (("CODEBOOK of 8 bits", ("codebook", "--weight_bits=8")), ("CODEBOOK of 4 bits", ("codebook",)),
                              ("LOG2 of 4 bits", ("log2",)), ("TERNARY", ("ternary",)), ("BINARY", ("binary",))):
            name = "classifier@" + flags[0]
            loaded = self.json("load", name, f"--weight_scheme={flags[0]}", *flags[1:])["loaded"][0]
            self.assertGreater(loaded["weight_bytes"], 0)
            notes = [layer["note"] for layer in self.json("plan", name)["layers"] if "s8" in layer["precision"]]
            self.assertTrue(any(note.startswith(f"weights {scheme}, ") for note in notes), notes)
            kept[scheme] = sqnr_db(expected, self.infer(name, images))
            self.assertEqual(precis(self.server, "unload", name).returncode, 0)
        self.assertGreater(kept["CODEBOOK of 8 bits"], LEAST_SQNR_DB["int8"])
        for better, worse in (("CODEBOOK of 8 bits", "CODEBOOK of 4 bits"), ("CODEBOOK of 4 bits", "TERNARY"), ("TERNARY", "BINARY")):
            self.assertGreater(kept[better], kept[worse], kept)

    def test_overrides_keep_eight_bits_where_few_cost_most(self):
        images = Classifier.images(32, seed=3)
        expected = self.classifier.expected(images)
        layers = [layer["name"] for layer in self.json("plan", "classifier@int8")["layers"] if "s8" in layer["precision"]]
        whole = ("load", "classifier@ternary", "--weight_scheme=ternary")
        self.json(*whole)
        few = sqnr_db(expected, self.infer("classifier@ternary", images))
        self.json(*whole, *(f"--override={layer}=int8" for layer in layers if layer))
        self.assertGreater(sqnr_db(expected, self.infer("classifier@ternary", images)), max(few, 20))
        self.assertEqual(precis(self.server, "unload", "classifier@ternary").returncode, 0)

    def test_weights_that_contradict_themselves_are_refused_by_field(self):
        for weights, field in (("scheme: LOG2 bits: 5", "weights.bits"), ("scheme: BINARY bits: 2", "weights.bits"),
                               ("bits: 1", "weights.bits"), ("scheme: TERNARY symmetric: false", "weights.symmetric")):
            code, reply = self.load_policy(f"precision: INT8 weights {{ {weights} }}")
            self.assertEqual(code, 1, weights)
            self.assertEqual(reply["error"]["code"], "INVALID_ARGUMENT", weights)
            self.assertIn(f"policy field {field}: ", reply["error"]["message"])
        self.assertFalse(self.client.is_model_ready("classifier@mine"))

    def test_load_reports_its_phases(self):
        outcome = precis(self.server, "load", "classifier@careful")
        for phase in ("parse", "calibrate", "quantize", "compile"):
            self.assertIn(f"classifier@careful: {phase}\n", outcome.stderr)
        self.assertEqual(precis(self.server, "unload", "classifier@careful").returncode, 0)

    def test_a_load_calibrates_on_live_requests(self):
        loading = start_precis(self.server, "load", "classifier@live", "--precision=int8", "--calibration_source=live_traffic",
                               "--sample_limit=12")
        self.addCleanup(loading.kill)
        for line in loading.stderr:
            if "live samples" in line:
                self.assertEqual(line, "classifier@live: calibrate, 0 of 12 live samples\n")
                break
        images = Classifier.images(12, seed=7)
        for image in images[:4]:
            self.infer("classifier@fp32", image[None])
        self.infer("classifier", images[4:])
        output, _ = loading.communicate(timeout=100)
        self.assertEqual(loading.returncode, 0)
        self.assertIn("classifier@live  READY", output)
        evaluated = Classifier.images(64, seed=99)
        self.assertGreater(sqnr_db(self.classifier.expected(evaluated), self.infer("classifier@live", evaluated)), 20)
        again = start_precis(self.server, "load", "classifier@live", "--precision=int8", "--calibration_source=live_traffic",
                             "--sample_limit=12", "--recalibrate")
        next(line for line in again.stderr if "live samples" in line)
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=100)
        self.assertNotEqual(again.returncode, 0)
        self.assertTrue(self.client.is_model_ready("classifier@live"))
        self.assertEqual(precis(self.server, "unload", "classifier@live").returncode, 0)

    def test_plan_names_precision_and_implementation_of_each_layer(self):
        layers = self.json("plan", "classifier@int8", "--repetitions=3")["layers"]
        self.assertTrue(any("s8" in layer["precision"] for layer in layers), layers)
        for layer in layers:
            self.assertNotEqual(layer["implementation"], "", layer)
            self.assertFalse(layer["slow_reference"], layer)
        self.assertGreater(sum(layer["time_us"] for layer in layers), 0)

    def test_compare_measures_the_precisions(self):
        folder = self.repository.parent / (self.repository.name + "-samples")
        folder.mkdir()
        images = Classifier.images(40, seed=5)
        np.save(folder / "image.npy", images)
        np.save(folder / "labels.npy", self.classifier.expected(images).argmax(axis=1))
        rows = self.json("compare", "classifier", "--variants=fp32,bf16,int8", f"--data={folder}", "--rows=10:")["variants"]
        self.assertEqual([row["variant"] for row in rows], ["fp32", "bf16", "int8"])
        fp32, _, int8 = rows
        self.assertEqual((fp32["top1"], fp32["agreement"], fp32["samples"]), (100, 100, 30))
        self.assertGreaterEqual(int8["agreement"], 80)
        self.assertGreater(int8["sqnr_db"], 20)
        self.assertGreater(int8["cosine"], 0.99)
        for row in rows:
            self.assertGreater(row["latency_ms"]["p50"], 0)
            self.assertGreaterEqual(row["latency_ms"]["p99"], row["latency_ms"]["p50"])
            self.assertGreater(row["weight_bytes"], 0)
            self.assertGreater(row["bytes_per_inference"], 0)

    def test_metrics_bear_their_contract_names(self):
        self.infer("classifier@int8", Classifier.images(1))
        labels = dict(model="classifier", version="1", variant="int8")
        before = self.server.metric("precis_requests_total", code="OK", **labels)
        self.infer("classifier@int8", Classifier.images(1))
        self.assertEqual(self.server.metric("precis_requests_total", code="OK", **labels), before + 1)
        for stage in ("total", "queue", "input", "compute", "output"):
            count = self.server.metric("precis_request_duration_seconds_count", stage=stage, **labels)
            self.assertGreaterEqual(count, before + 1, stage)
        for phase in ("parse", "calibrate", "quantize", "compile"):
            self.assertGreater(self.server.metric("precis_model_load_duration_seconds_count", phase=phase, **labels), 0, phase)
        self.assertGreater(self.server.metric("precis_weight_bytes", **labels), 0)
        self.assertGreater(self.server.metric("precis_arena_bytes", **labels), 0)
        for kind in ("weights", "activations"):
            self.assertGreater(self.server.metric("precis_memory_bytes_total", kind=kind, **labels), 0, kind)
        names = {name.split("{")[0] for name in self.server.metrics()}
        for name in ("precis_memory_bandwidth_bytes_per_second", "precis_memory_bandwidth_peak_bytes_per_second",
                     "precis_batch_size_count", "precis_queue_depth", "precis_inflight_requests", "precis_build_info",
                     "process_resident_memory_bytes", "process_cpu_seconds_total"):
            self.assertIn(name, names)

    def test_failures_are_counted_by_their_code(self):
        before = self.server.metric("precis_requests_total", code="NOT_FOUND")
        with self.assertRaises(Exception):
            self.infer("nobody", Classifier.images(1))
        self.assertEqual(self.server.metric("precis_requests_total", code="NOT_FOUND"), before + 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
