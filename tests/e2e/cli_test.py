"""The command line client against a real server: exit codes, one line of JSON, tables, files in and out."""
import json
import struct
import subprocess
import tempfile
import unittest
import zlib
from pathlib import Path

import numpy as np

from networks import Classifier, add_model, two_inputs_file
from precisd import BINARIES, Precisd, ServerTest, free_port, precis

PREPROCESSING = 'preprocessing { mean: 0.5 std: 0.25 layout: NCHW }'


def write_png(path: Path, pixels: np.ndarray) -> None:
    """u8 [height,width,3], with filter 0 on every row."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class CommandLineTest(ServerTest):
    classifier = Classifier()

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", cls.classifier.file(), calibration=Classifier.images(16))
        add_model(repository, "described", cls.classifier.file(), precision=PREPROCESSING)
        add_model(repository, "two", two_inputs_file())
        add_model(repository, "garbage", b"no network")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_precis(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess:
        outcome = precis(self.server, *arguments)
        self.assertEqual(outcome.returncode, code, outcome.stdout + outcome.stderr)
        return outcome

    def json(self, *arguments: str, code: int = 0) -> dict:
        outcome = self.run_precis(*arguments, "--json", code=code)
        self.assertEqual(outcome.stdout.count("\n"), 1, outcome.stdout)
        return json.loads(outcome.stdout)

    def output(self, result: dict, name: str) -> np.ndarray:
        one = next(output for output in result["outputs"] if output["name"] == name)
        return np.array(one["data"]).reshape(one["shape"])

    def test_models(self):
        table = self.run_precis("models").stdout.splitlines()
        self.assertEqual(table[0].split(), ["MODEL", "VERSION", "STATE", "VARIANTS", "WEIGHTS", "REASON"])
        self.assertTrue(any(line.startswith("classifier") and "READY" in line and "fp32*" in line for line in table))
        self.assertTrue(any(line.startswith("garbage") and "UNAVAILABLE" in line for line in table))
        states = {model["name"]: model["state"] for model in self.json("models")["models"]}
        self.assertEqual(states["classifier"], "READY")

    def test_infer_from_an_image_by_flags_or_by_the_model(self):
        pixels = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        path = self.folder / "picture.png"
        write_png(path, pixels)
        image = ((pixels / 255 - 0.5) / 0.25).astype(np.float32).transpose(2, 0, 1)[None]
        expected = self.classifier.expected(image)
        by_flags = self.json("infer", "classifier", str(path), "--mean=0.5", "--std=0.25")
        by_model = self.json("infer", "described", str(path))
        for result in (by_flags, by_model):
            np.testing.assert_allclose(self.output(result, "logits"), expected, rtol=1e-3, atol=1e-4)
        self.assertEqual(by_model["outputs"][0]["top"][0]["index"], int(expected.argmax()))
        refused = self.run_precis("infer", "classifier", str(path), code=2)
        self.assertIn("--mean", refused.stderr)
        write_png(path, pixels[:6])
        self.assertIn("--resize", self.run_precis("infer", "described", str(path), code=2).stderr)
        self.run_precis("infer", "described", str(path), "--resize=8x8")

    def test_infer_from_arrays_and_back_into_them(self):
        images = Classifier.images(3)
        np.save(self.folder / "x.npy", images)
        saved = self.folder / "logits.npy"
        self.run_precis("infer", "classifier", str(self.folder / "x.npy"), f"--save={saved}")
        np.testing.assert_allclose(np.load(saved), self.classifier.expected(images), rtol=1e-4, atol=1e-5)
        ids, x = np.array([[1, 2, 3, 4]], np.int64), np.ones((1, 4), np.float32)
        np.savez_compressed(self.folder / "both.npz", ids=ids, x=x)
        archive = self.folder / "out.npz"
        self.run_precis("infer", "two", str(self.folder / "both.npz"), f"--save={archive}")
        with np.load(archive) as out:
            np.testing.assert_array_equal(out["total"], ids + x)
            np.testing.assert_array_equal(out["product"], ids * x)

    def test_infer_random(self):
        result = self.json("infer", "two", "--random", "--shape", "ids=2,4", "--shape", "x=2,4", "--output", "total")
        self.assertEqual([output["name"] for output in result["outputs"]], ["total"])
        self.assertEqual(result["outputs"][0]["shape"], [2, 4])
        self.assertGreater(result["latency_ms"], 0)

    def test_refusals_are_one_with_the_servers_code(self):
        self.assertEqual(self.json("infer", "nobody", "--random", code=1)["error"]["code"], "NOT_FOUND")
        self.assertEqual(self.json("load", "garbage", code=1)["error"]["code"], "INVALID_ARGUMENT")
        np.save(self.folder / "x.npy", np.zeros((1, 3, 8, 9), np.float32))
        error = self.json("infer", "classifier", str(self.folder / "x.npy"), code=1)["error"]
        self.assertEqual(error["code"], "INVALID_ARGUMENT")

    def test_wrong_usage_is_two(self):
        for arguments in ([], ["frobnicate"], ["infer", "classifier"], ["compare", "classifier"], ["models", "--timeout=x"]):
            self.run_precis(*arguments, code=2)

    def test_load_plan_stats_unload(self):
        outcome = self.run_precis("load", "classifier@int8")
        self.assertIn("classifier@int8  READY", outcome.stdout)
        self.assertIn("classifier@int8: compile\n", outcome.stderr)
        self.run_precis("infer", "classifier@int8", "--random")
        plan = self.run_precis("plan", "classifier@int8").stdout
        self.assertIn("IMPLEMENTATION", plan.splitlines()[0])
        self.assertIn("s8", plan)
        counts = {model["name"]: model["inference_count"] for model in self.json("stats")["models"]}
        self.assertGreaterEqual(counts["classifier@int8"], 1)
        self.assertIn("classifier@fp32", counts)
        self.assertIn("COMPUTE", self.run_precis("stats", "classifier").stdout.splitlines()[0])
        self.run_precis("unload", "classifier@int8")
        self.assertEqual(self.json("unload", "classifier@int8", code=1)["error"]["code"], "NOT_FOUND")

    def test_mixed(self):
        status = self.json("load", "classifier@mixed", "--min_sqnr_db=35", "--override=*=int8")["loaded"][0]
        self.assertEqual(status["precision"], "MIXED")
        self.assertNotIn("search", self.json("plan", "classifier@mixed"))  # every layer is pinned: nothing to search for
        outcome = self.run_precis("load", "classifier@mixed", "--min_sqnr_db=45")
        self.assertIn("classifier@mixed: search\n", outcome.stderr)
        page = self.folder / "mixed.html"
        plan = self.json("plan", "classifier@mixed", "--html", str(page))
        self.assertTrue(plan["search"]["budget_met"], plan["search"]["reason"])
        chosen = [point for point in plan["search"]["points"] if point["chosen"]][0]
        self.assertTrue(chosen["sqnr_db"] is None or chosen["sqnr_db"] >= 45)
        searched = {layer["name"]: layer for layer in plan["search"]["layers"]}
        for layer in plan["layers"]:
            if layer["name"] in searched:
                self.assertEqual(layer["error_sqnr_db"], searched[layer["name"]]["sqnr_db"])
        self.assertIn("Precision map", page.read_text())
        self.assertIn("<- chosen", self.run_precis("plan", "classifier@mixed").stdout)
        refused = self.json("load", "classifier@mixed", "--override=nothing=fp32", code=1)["error"]
        self.assertEqual(refused["code"], "INVALID_ARGUMENT")
        self.assertIn("overrides", refused["message"])
        self.run_precis("unload", "classifier@mixed")

    def test_traffic(self):
        self.assertIn("fp32 answers all", self.run_precis("traffic", "described").stdout)
        self.run_precis("load", "described@bf16")
        shown = self.json("traffic", "described", "--split=fp32:60,bf16:40", "--sticky=user")
        self.assertEqual(shown["split"], [{"variant": "fp32", "percent": 60}, {"variant": "bf16", "percent": 40}])
        self.json("traffic", "described", "--split=fp32:0,bf16:100")
        self.assertEqual(self.json("traffic", "described")["sticky_parameter"], "user")  # left as it was
        parameters = self.json("infer", "described", "--random")["parameters"]
        self.assertEqual(parameters["precis_variant"], "bf16")
        refused = self.json("traffic", "described", "--split=fp16:100", code=1)["error"]
        self.assertEqual(refused["code"], "NOT_FOUND")
        self.assertIn("described@fp16", refused["message"])
        for arguments in (["described@fp32"], ["described", "--split=fp32"], ["described", "--split=fp32:x"]):
            self.run_precis("traffic", *arguments, code=2)
        self.json("traffic", "described", "--split=none", "--sticky=none")
        self.assertIn("fp32 answers all", self.run_precis("traffic", "described").stdout)

    def test_health_and_version(self):
        self.assertEqual(self.run_precis("health").stdout, "SERVING\n")
        self.assertEqual(self.json("health", "classifier")["status"], "SERVING")
        self.assertEqual(self.json("health", "nobody", code=1)["error"]["code"], "NOT_FOUND")
        self.assertNotEqual(self.json("version")["server"]["version"], "")

    def test_wait_ready_waits_for_a_server_that_starts_later(self):
        port = free_port()
        waiting = subprocess.Popen([BINARIES / "precis", "health", "--wait-ready=100s", f"--server=127.0.0.1:{port}"],
                                   stdout=subprocess.PIPE, text=True)
        later = Precisd(f"--model_repository={self.repository}", f"--grpc_port={port}", "--load=none")
        self.addCleanup(later.stop)
        self.assertEqual(waiting.communicate(timeout=100)[0], "SERVING\n")
        self.assertEqual(waiting.returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
