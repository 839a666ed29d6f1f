"""deploy/haproxy/haproxy.cfg with a real HAProxy and three real precisd: mutual TLS, balance by request, health checks, drain."""
import csv
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

from networks import add_model, two_inputs_file
from precisd import Precisd, free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy/haproxy"
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
REPLICAS = 3


class HaproxyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        subprocess.run([DEPLOY / "make_certificates", self.folder / "tls"], check=True, capture_output=True)
        add_model(self.folder / "models", "two", two_inputs_file())
        self.replicas = [self.start_replica() for _ in range(REPLICAS)]
        self.start_haproxy([replica.target for replica in self.replicas])

    def start_replica(self) -> Precisd:
        tls = self.folder / "tls"
        server = Precisd(f"--model_repository={self.folder / 'models'}", f"--tls_cert={tls / 'precis.crt'}", f"--tls_key={tls / 'precis.key'}",
                         f"--tls_client_ca={tls / 'ca.crt'}", "--drain_seconds=4")
        self.addCleanup(server.stop)
        self.addCleanup(server.process.send_signal, signal.SIGINT)  # no grace
        return server

    def start_haproxy(self, targets: list[str], up: int = REPLICAS):
        """The file as it is, but for its ports and its folder; the first `up` targets are there."""
        self.port, self.statistics_port = free_port(), free_port()
        text = (DEPLOY / "haproxy.cfg").read_text()
        for old, new in (("/etc/haproxy/tls", str(self.folder / "tls")), ("bind :8001 ", f"bind 127.0.0.1:{self.port} "),
                         ("bind :8404", f"bind 127.0.0.1:{self.statistics_port}")):
            self.assertIn(old, text)
            text = text.replace(old, new)
        file = self.folder / "haproxy.cfg"
        file.write_text(text)
        environment = dict(os.environ) | {f"PRECIS_{index + 1}": target for index, target in enumerate(targets)}
        checked = subprocess.run([HAPROXY, "-c", "-f", file], env=environment, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, re.findall(r"WARNING|ALERT", checked.stderr)), (0, []), checked.stderr)
        with open(self.folder / "haproxy.log", "w") as log:
            self.haproxy = subprocess.Popen([HAPROXY, "-db", "-f", file], env=environment, stdout=log, stderr=log)
        self.addCleanup(self.haproxy.wait)
        self.addCleanup(self.haproxy.kill)
        self.wait_for(lambda: self.states()[:up] == ["UP"] * up)

    def rows(self) -> list[dict[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.statistics_port}/;csv", timeout=10) as answer:
            text = answer.read().decode().removeprefix("# ")
        rows = {row["svname"]: row for row in csv.DictReader(text.splitlines()) if row["pxname"] == "precis"}
        return [rows[f"precis-{index + 1}"] for index in range(REPLICAS)]

    def states(self) -> list[str]:
        try:
            return [row["status"] for row in self.rows()]
        except OSError:  # HAProxy is starting
            return []

    def wait_for(self, condition):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end, f"{self.states()}\n{(self.folder / 'haproxy.log').read_text()}")
            self.assertIsNone(self.haproxy.poll(), (self.folder / "haproxy.log").read_text())
            time.sleep(0.05)

    def client(self) -> triton.InferenceServerClient:
        client = triton.InferenceServerClient(f"localhost:{self.port}", ssl=True, root_certificates=str(self.folder / "tls/ca.crt"))
        self.addCleanup(client.close)
        return client

    @staticmethod
    def infer(client) -> np.ndarray:
        inputs = [triton.InferInput("ids", [1, 4], "INT64"), triton.InferInput("x", [1, 4], "FP32")]
        inputs[0].set_data_from_numpy(np.full((1, 4), 2, np.int64))
        inputs[1].set_data_from_numpy(np.full((1, 4), 3, np.float32))
        return client.infer("two", inputs).as_numpy("product")

    def answered(self) -> list[float]:
        return [replica.metric("precis_requests_total", code="OK") for replica in self.replicas]

    def test_requests_of_one_connection_go_to_all_replicas(self):
        client = self.client()
        for _ in range(90):
            np.testing.assert_array_equal(self.infer(client), np.full((1, 4), 6, np.float32))
        self.assertEqual(sum(self.answered()), 90)
        self.assertGreaterEqual(min(self.answered()), 25)

    def test_a_replica_whose_name_is_not_known_keeps_no_other_from_being_served(self):
        self.haproxy.kill()
        self.haproxy.wait()
        self.start_haproxy([replica.target for replica in self.replicas[:2]] + ["precis-3.invalid:8001"], up=2)
        client = self.client()
        for _ in range(20):
            self.infer(client)
        self.assertEqual(sum(self.answered()), 20)

    def test_a_replica_that_drains_gets_no_more_requests_and_none_is_lost(self):
        client = self.client()
        stop, failed = threading.Event(), []

        def load():
            while not stop.is_set():
                try:
                    self.infer(client)
                except triton.InferenceServerException as error:
                    failed.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            self.replicas[0].terminate()
            self.wait_for(lambda: self.states()[0] == "DOWN")
            self.assertIsNone(self.replicas[0].process.poll(), "HAProxy looks away while the replica still serves")
            at_rest = self.replicas[0].metric("precis_requests_total")
            time.sleep(0.5)
            self.assertEqual(self.replicas[0].metric("precis_requests_total"), at_rest)
            self.assertEqual(self.replicas[0].wait(), 0)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(self.states()[1:], ["UP", "UP"])

    def test_a_killed_replica_is_unavailable_at_worst_and_only_for_a_moment(self):
        client = self.client()
        self.infer(client)
        self.replicas[2].process.send_signal(signal.SIGKILL)
        codes = set()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                self.infer(client)
            except triton.InferenceServerException as error:
                codes.add(error.status())
        self.assertLessEqual(codes, {"StatusCode.UNAVAILABLE"})
        self.wait_for(lambda: self.states() == ["UP", "UP", "DOWN"])
        for _ in range(20):
            self.infer(client)

    def test_clients_without_tls_are_refused(self):
        with self.assertRaises(triton.InferenceServerException):
            with triton.InferenceServerClient(f"localhost:{self.port}") as plain:
                plain.is_server_ready(client_timeout=5)


if __name__ == "__main__":
    unittest.main()
