"""precis_loadtest against a real server: both loops, real inputs, errors, and the server that goes away and comes back."""
import json
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

from networks import Classifier, add_model, slow_file, two_inputs_file
from precisd import BINARIES, Precisd, ServerTest

CALIBRATED = 16


def start(target: str, *flags: str) -> subprocess.Popen:
    return subprocess.Popen([BINARIES / "precis_loadtest", f"--target={target}", *flags], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen, code: int = 0) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, f"code {process.returncode}\n{out}{err}"
    return out + err if code else out


class LoadTest(ServerTest):
    flags = ("--load=classifier@fp32,classifier@int8,two@fp32",)

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", Classifier().file(), calibration=Classifier.images(CALIBRATED))
        add_model(repository, "two", two_inputs_file())

    def text(self, *flags: str, code: int = 0) -> str:
        return finish(start(self.server.target, *flags), code)

    def json(self, *flags: str, code: int = 0) -> dict:
        out = self.text(*flags, "--json", code=code)
        self.assertEqual(out.count("\n"), 1, out)
        return json.loads(out)

    def served(self, model: str, variant: str) -> float:
        return self.server.metric("precis_requests_total", model=model, variant=variant, code="OK")

    def test_closed_loop_counts_what_the_server_counts(self):
        before = self.served("classifier", "int8")
        result = self.json("--model=classifier@int8", "--concurrency=3", "--duration=1s", "--warmup=200ms")
        self.assertEqual(result["errors"], {})
        self.assertEqual(self.served("classifier", "int8") - before, result["calls"] + result["unmeasured"]["calls"])
        # A closed loop's law: clients = throughput * mean latency (Little).
        self.assertAlmostEqual(result["throughput"] * result["latency_ms"]["mean"] / 1000, 3, delta=0.45)

    def test_open_loop_keeps_its_rate(self):
        result = self.json("--model=classifier", "--rate=100", "--duration=2s", "--warmup=0s")
        self.assertAlmostEqual(result["calls"], 200, delta=60)  # four standard deviations
        self.assertEqual(result["failed_calls"], 0)
        self.assertEqual(result["load"], {"kind": "open", "rate": 100, "arrivals": "poisson"})

    def test_real_inputs_from_files(self):
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "both.npz", ids=np.arange(8, dtype=np.int64).reshape(2, 4), x=np.ones((2, 4), np.float32))
            result = self.json("--model=two", "--concurrency=1", f"--data={folder}/both.npz", "--duration=300ms", "--warmup=0s")
            self.assertEqual(result["errors"], {})
            np.save(Path(folder) / "image.npy", Classifier.images(4))
            result = self.json("--model=classifier", "--concurrency=1", f"--data={folder}/image.npy", "--batch=2",
                               "--duration=300ms", "--warmup=0s")
            self.assertEqual((result["errors"], result["batch"]), ({}, 2))
            self.assertIn("fewer than a batch", self.text("--model=classifier", "--concurrency=1",
                                                          f"--data={folder}/image.npy", "--batch=5", code=2))

    def test_the_servers_no(self):
        self.assertEqual(self.json_error("--model=nothing", "--concurrency=1"), "NOT_FOUND")
        self.assertEqual(self.json_error("--model=classifier@bf16", "--concurrency=1"), "NOT_FOUND")

    def json_error(self, *flags: str) -> str:
        process = start(self.server.target, *flags, "--json")
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1)
        return json.loads(out)["error"]["code"]

    def test_nobody_there(self):
        process = start("127.0.0.1:1", "--model=net", "--concurrency=1", "--timeout=1s")
        self.assertIn("UNAVAILABLE", finish(process, 1))

    def test_ctrl_c_reports_what_was_measured(self):
        process = start(self.server.target, "--model=classifier", "--concurrency=1", "--duration=100s", "--window=200ms",
                        "--warmup=0s", "--json")
        time.sleep(2)  # it has to have measured something
        process.send_signal(signal.SIGINT)
        result = json.loads(finish(process))
        self.assertTrue(result["interrupted"])
        self.assertLess(result["duration_s"], 50)
        self.assertGreater(result["throughput"], 0)


class OverloadTest(ServerTest):
    flags = ("--workers=1", "--threads=1", "--queue_size=2", "--load=slow@fp32")

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "slow", slow_file())

    def test_errors_go_by_code(self):
        result = json.loads(finish(start(self.server.target, "--model=slow", "--concurrency=6", "--duration=3s", "--warmup=0s",
                                         "--json")))
        self.assertEqual(list(result["errors"]), ["RESOURCE_EXHAUSTED"])
        self.assertEqual(result["failed_calls"], result["errors"]["RESOURCE_EXHAUSTED"])
        self.assertGreater(result["calls"], result["failed_calls"])


class RestartTest(unittest.TestCase):
    """A server that ends and is there again, under load."""

    def test_retries_bridge_a_kill_and_a_restart(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        add_model(Path(folder.name), "classifier", Classifier().file())
        server = Precisd(f"--model_repository={folder.name}")
        self.addCleanup(lambda: server.stop())
        load = start(server.target, "--model=classifier", "--rate=50", "--duration=6s", "--warmup=0s", "--retries=20", "--json")
        while server.metric("precis_requests_total", model="classifier") == 0:
            self.assertIsNone(load.poll())
        server.process.kill()  # calls in flight get UNAVAILABLE
        server.stop()
        server = Precisd(f"--model_repository={folder.name}", f"--grpc_port={server.target.rsplit(':', 1)[1]}")
        result = json.loads(finish(load))
        self.assertEqual(result["errors"], {}, result)
        self.assertGreater(result["retries"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
