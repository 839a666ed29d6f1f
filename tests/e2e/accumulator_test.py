"""Variants whose sums are those of other hardware's accumulators: what they lose, and that everybody who shows them says so."""
import json
import unittest
from pathlib import Path

import numpy as np

from networks import Classifier, LongSums, add_model
from precisd import ServerTest, precis

POLICIES = """
policies { name: "f16" policy { precision: FP32 accumulation { accumulator: F16 } } }
policies { name: "f16_64" policy { precision: FP32
  accumulation { mode: CHUNKED chunk_size: 64 accumulator: F16 } } }
policies { name: "f16_64_same" policy { precision: FP32
  accumulation { mode: CHUNKED chunk_size: 64 accumulator: F16 outer: OUTER_SAME } } }
"""


class AccumulatorTest(ServerTest):
    network, classifier = LongSums(), Classifier()
    flags = ("--load=long@fp32",)

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "long", cls.network.file(), precision=POLICIES)
        add_model(repository, "classifier", cls.classifier.file(), calibration=Classifier.images(32))
        cls.data = repository.parent / (repository.name + "-inputs")
        cls.data.mkdir()
        inputs = LongSums.inputs(40)
        np.save(cls.data / "x.npy", inputs)
        np.save(cls.data / "labels.npy", cls.network.expected(inputs).argmax(axis=1))

    def run_precis(self, *arguments: str):
        outcome = precis(self.server, *arguments)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        return outcome.stdout

    def json(self, *arguments: str) -> dict:
        return json.loads(self.run_precis(*arguments, "--json"))

    def test_a_narrow_accumulator_loses_long_sums_and_chunks_give_them_back(self):
        variants = ("fp32", "f16", "f16_64", "f16_64_same")
        rows = self.json("compare", "long", "--variants=" + ",".join(variants), f"--data={self.data}")["variants"]
        exact, narrow, chunked, same = rows
        self.assertEqual([row["emulated_layers"] for row in rows], [0, 1, 1, 1])
        self.assertEqual(exact["top1"], 100)
        self.assertLess(narrow["top1"], 60)
        self.assertGreater(chunked["top1"], 90)
        self.assertGreater(chunked["sqnr_db"], narrow["sqnr_db"] + 30)
        # Joined in f16, the chunks' sums lose again, but less than without chunks.
        self.assertGreater(chunked["sqnr_db"], same["sqnr_db"] + 10)
        self.assertGreater(same["sqnr_db"], narrow["sqnr_db"] + 3)

    def test_whoever_shows_the_variant_says_that_it_is_emulated(self):
        self.assertIn("layers with emulated accumulators: 1;", self.run_precis("load", "long@f16"))
        self.assertIn("long@f16: layers with emulated accumulators: 1;", self.server.log_text())
        self.assertIn("f16 (emulated)", self.run_precis("models"))
        self.assertIn("long@f16 (emulated)", self.run_precis("stats", "long"))
        plan = self.run_precis("plan", "long@f16")
        self.assertIn("emulated:f16", plan)
        self.assertIn("emulated: f16 sums of all 4096", plan)
        compared = self.run_precis("compare", "long", "--variants=fp32,f16", f"--data={self.data}", "--rows=:3",
                                   f"--html={self.data}/page.html")
        self.assertIn("f16 (emulated)", compared)
        self.assertIn("f16: layers with emulated accumulators: 1;", compared)
        self.assertIn("emulated: times say nothing of hardware", (self.data / "page.html").read_text())

    def test_short_flags_say_the_same_as_a_policy(self):
        self.run_precis("load", "long@short", "--precision=fp16", "--accumulator=bf16", "--chunk_size=64", "--outer=same")
        layers = self.json("plan", "long@short")["layers"]
        self.assertTrue(any("emulated:bf16 chunk 64 outer same" in layer["implementation"] for layer in layers), layers)
        self.run_precis("unload", "long@short")

    def test_saturating_integers_are_for_int8(self):
        self.run_precis("load", "classifier@s16", "--precision=int8", "--accumulator=s16")
        layers = {layer["op"]: layer for layer in self.json("plan", "classifier@s16")["layers"]}
        self.assertTrue(layers["Conv+Relu"]["implementation"].startswith("emulated:s16"), layers["Conv+Relu"])
        self.assertIn("u8*s8", layers["MatMul"]["precision"].replace("s8*s8", "u8*s8"))
        outcome = precis(self.server, "load", "classifier@wrong", "--precision=fp16", "--accumulator=s16", "--json")
        self.assertEqual(outcome.returncode, 1)
        error = json.loads(outcome.stdout)["error"]
        self.assertEqual(error["code"], "INVALID_ARGUMENT")
        self.assertIn("accumulation.accumulator", error["message"])


if __name__ == "__main__":
    unittest.main()
