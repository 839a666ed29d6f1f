"""Health (Check and Watch) and reflection, with gRPC's own Python clients."""
import queue
import threading
import unittest
from pathlib import Path

import grpc
import tritonclient.grpc as triton
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from networks import Classifier, add_model
from precisd import ServerTest

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


class ProtocolTest(ServerTest):
    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", Classifier().file())
        add_model(repository, "broken", b"no network")

    def setUp(self):
        self.channel = grpc.insecure_channel(self.server.target)
        self.addCleanup(self.channel.close)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def status_of(self, service: str) -> int:
        return self.health.Check(health_pb2.HealthCheckRequest(service=service)).status

    def test_check_knows_the_server_and_each_model(self):
        self.assertEqual(self.status_of(""), SERVING)
        self.assertEqual(self.status_of("classifier"), SERVING)
        self.assertEqual(self.status_of("classifier@fp32"), SERVING)
        with self.assertRaises(grpc.RpcError) as raised:
            self.status_of("nobody")
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_watch_follows_a_model(self):
        client = triton.InferenceServerClient(self.server.target)
        self.addCleanup(client.close)
        updates: queue.Queue = queue.Queue()
        watch = self.health.Watch(health_pb2.HealthCheckRequest(service="classifier"))

        def follow():
            try:
                for update in watch:
                    updates.put(update.status)
            except grpc.RpcError:
                pass  # cancelled below

        thread = threading.Thread(target=follow)
        thread.start()
        self.assertEqual(updates.get(timeout=30), SERVING)
        client.unload_model("classifier")
        self.assertEqual(updates.get(timeout=30), NOT_SERVING)
        client.load_model("classifier")
        self.assertEqual(updates.get(timeout=30), SERVING)
        watch.cancel()
        thread.join()

    def test_watch_of_an_unknown_name_says_so(self):
        watch = self.health.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        self.assertEqual(next(watch).status, SERVICE_UNKNOWN)
        watch.cancel()

    def test_reflection_lists_and_describes_every_service(self):
        database = ProtoReflectionDescriptorDatabase(self.channel)
        services = database.get_services()
        for name in ("inference.GRPCInferenceService", "precis.v1.PrecisionService", "grpc.health.v1.Health"):
            self.assertIn(name, services)
        pool = DescriptorPool(database)
        methods = pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name
        self.assertIn("ModelStreamInfer", methods)
        self.assertEqual(pool.FindMessageTypeByName("inference.ModelInferRequest").fields_by_name["raw_input_contents"].number, 7)
        self.assertIn("LoadVariant", pool.FindServiceByName("precis.v1.PrecisionService").methods_by_name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
