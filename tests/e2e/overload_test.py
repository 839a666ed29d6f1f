"""A slow network on one worker: full queues, cancelled and late requests, and the end of the server."""
import queue
import tempfile
import threading
import unittest
from pathlib import Path

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

from networks import SLOW_SIZE, add_model, slow_file
from precisd import Precisd, ServerTest


def slow_request() -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name="slow")
    request.inputs.add(name="x", datatype="FP32", shape=[SLOW_SIZE, SLOW_SIZE])
    request.raw_input_contents.append(np.eye(SLOW_SIZE, dtype=np.float32).tobytes())
    return request


def code_of(call) -> grpc.StatusCode:
    try:
        call.result()
    except grpc.RpcError as error:
        return error.code()
    except grpc.FutureCancelledError:
        return grpc.StatusCode.CANCELLED
    return grpc.StatusCode.OK


class SlowServer:
    """Calls to a server whose one worker takes one request at a time."""

    def __init__(self, server: Precisd):
        self.server = server
        self.channel = grpc.insecure_channel(server.target)
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def send(self, timeout: float | None = None):
        return self.stub.ModelInfer.future(slow_request(), timeout=timeout)

    def wait_until_inside(self, calls: list) -> None:
        """Returns when the server has all of these; each look at /metrics is a round trip of its own."""
        while self.server.metric("precis_inflight_requests", model="slow") < len(calls):
            assert not any(call.done() for call in calls), "too fast a machine for this test"


class OverloadTest(ServerTest):
    flags = ("--workers=1", "--threads=1", "--queue_size=2", "--load=slow@fp32")

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "slow", slow_file())

    def setUp(self):
        self.slow = SlowServer(self.server)
        self.addCleanup(self.slow.channel.close)

    def test_full_queue_is_told_at_once(self):
        calls = [self.slow.send() for _ in range(8)]
        codes = [code_of(call) for call in calls]
        self.assertEqual(set(codes), {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED})
        self.assertGreaterEqual(codes.count(grpc.StatusCode.OK), 3)  # one that ran and two that waited, at least

    def test_request_past_its_deadline_is_answered_so(self):
        first = self.slow.send()
        self.slow.wait_until_inside([first])
        late = self.slow.send(timeout=0.02)
        self.assertEqual(code_of(late), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertEqual(code_of(first), grpc.StatusCode.OK)

    def test_cancelled_request_leaves_the_server_well(self):
        first, waiting = self.slow.send(), self.slow.send()
        self.slow.wait_until_inside([first, waiting])
        waiting.cancel()
        first.cancel()
        self.assertEqual(code_of(waiting), grpc.StatusCode.CANCELLED)
        self.assertEqual(code_of(first), grpc.StatusCode.CANCELLED)
        self.assertEqual(code_of(self.slow.send()), grpc.StatusCode.OK)  # behind both
        self.assertGreaterEqual(self.server.metric("precis_requests_total", code="CANCELLED"), 1)  # the one that waited did not run

    def test_client_that_vanishes_leaves_the_server_well(self):
        other = SlowServer(self.server)
        self.slow.wait_until_inside([other.send()])
        other.channel.close()
        self.assertEqual(code_of(self.slow.send()), grpc.StatusCode.OK)

    def test_stream_answers_every_request_once(self):
        answers = queue.Queue()
        with triton.InferenceServerClient(self.server.target) as client:
            client.start_stream(lambda result, error: answers.put((result, error)))
            tensor = triton.InferInput("x", [SLOW_SIZE, SLOW_SIZE], "FP32")
            tensor.set_data_from_numpy(np.eye(SLOW_SIZE, dtype=np.float32))
            for i in range(6):
                client.async_stream_infer("slow", [tensor], request_id=str(i))
            received = [answers.get(timeout=120) for _ in range(6)]
            client.stop_stream()
        self.assertGreaterEqual(sum(error is None for _, error in received), 1)
        self.assertTrue(answers.empty())


class EndTest(unittest.TestCase):
    """SIGTERM."""

    def start(self, *flags: str) -> SlowServer:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        add_model(Path(folder.name), "slow", slow_file())
        server = Precisd(f"--model_repository={folder.name}", "--workers=1", "--threads=1", *flags)
        self.addCleanup(server.stop)
        slow = SlowServer(server)
        self.addCleanup(slow.channel.close)
        return slow

    def test_requests_in_flight_are_answered_and_the_exit_code_is_zero(self):
        slow = self.start()
        calls = [slow.send() for _ in range(2)]
        slow.wait_until_inside(calls)
        slow.server.terminate()
        self.assertEqual([code_of(call) for call in calls], [grpc.StatusCode.OK] * 2)
        self.assertEqual(slow.server.wait(), 0)

    def test_draining_server_is_not_ready_yet_serves(self):
        slow = self.start("--drain_seconds=3")
        ended = threading.Event()
        threading.Thread(target=lambda: (slow.server.wait(), ended.set()), daemon=True).start()
        slow.server.terminate()
        while slow.stub.ServerReady(service_pb2.ServerReadyRequest()).ready:
            self.assertFalse(ended.is_set())
        self.assertTrue(slow.stub.ServerLive(service_pb2.ServerLiveRequest()).live)
        self.assertEqual(code_of(slow.send()), grpc.StatusCode.OK)
        self.assertEqual(slow.server.wait(), 0)

    def test_after_the_end_nobody_answers(self):
        slow = self.start()
        slow.server.terminate()
        self.assertEqual(slow.server.wait(), 0)
        self.assertEqual(code_of(slow.send()), grpc.StatusCode.UNAVAILABLE)

    def test_a_stream_that_stays_open_does_not_keep_it(self):
        slow = self.start()
        requests: queue.Queue = queue.Queue()
        stream = slow.stub.ModelStreamInfer(iter(requests.get, None))
        requests.put(slow_request())
        self.assertEqual(next(stream).error_message, "")
        slow.server.terminate()
        self.assertEqual(slow.server.wait(), 0)
        requests.put(None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
