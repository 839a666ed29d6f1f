"""KServe-v2 requests from the Python tritonclient: sync, asynchronous and streaming, right and wrong."""
import asyncio
import os
import queue
import unittest
from pathlib import Path

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, shared_memory

from networks import CLASSES, Classifier, add_model, two_inputs_file
from precisd import ServerTest

TOLERANCE = dict(rtol=1e-4, atol=1e-5)


def image_input(images: np.ndarray) -> triton.InferInput:
    tensor = triton.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    return tensor


class InferenceTest(ServerTest):
    classifier = Classifier()

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", cls.classifier.file())
        add_model(repository, "two", two_inputs_file())

    def setUp(self):
        self.client = triton.InferenceServerClient(self.server.target)
        self.addCleanup(self.client.close)

    def expect_status(self, code: str, call, *arguments, **keywords) -> str:
        with self.assertRaises(InferenceServerException) as raised:
            call(*arguments, **keywords)
        self.assertEqual(raised.exception.status(), f"StatusCode.{code}", raised.exception.message())
        return raised.exception.message()

    # ---- right ----

    def test_sync_answer_is_the_networks(self):
        images = Classifier.images(1)
        result = self.client.infer("classifier", [image_input(images)], request_id="seven")
        np.testing.assert_allclose(result.as_numpy("logits"), self.classifier.expected(images), **TOLERANCE)
        self.assertEqual(result.get_response().id, "seven")
        self.assertEqual(result.get_response().model_version, "1")

    def test_each_batch_size_is_answered(self):
        for count in (1, 2, 5, 2):
            images = Classifier.images(count, seed=count)
            result = self.client.infer("classifier", [image_input(images)])
            np.testing.assert_allclose(result.as_numpy("logits"), self.classifier.expected(images), **TOLERANCE)

    def test_asynchronous_answers_come_each_to_its_request(self):
        answers = queue.Queue()
        batches = [Classifier.images(1, seed) for seed in range(32)]
        for i, images in enumerate(batches):
            self.client.async_infer("classifier", [image_input(images)],
                                    lambda result, error, i=i: answers.put((i, result, error)))
        for _ in batches:
            i, result, error = answers.get(timeout=60)
            self.assertIsNone(error)
            np.testing.assert_allclose(result.as_numpy("logits"), self.classifier.expected(batches[i]), **TOLERANCE)

    def test_asyncio_client(self):
        async def run():
            async with triton_aio.InferenceServerClient(self.server.target) as client:
                self.assertTrue(await client.is_server_ready())
                batches = [Classifier.images(1, seed) for seed in range(8)]
                results = await asyncio.gather(*(client.infer("classifier", [image_input(one)]) for one in batches))
            for images, result in zip(batches, results):
                np.testing.assert_allclose(result.as_numpy("logits"), self.classifier.expected(images), **TOLERANCE)

        asyncio.run(run())

    def test_stream_answers_good_and_bad_requests_and_goes_on(self):
        answers = queue.Queue()
        self.client.start_stream(lambda result, error: answers.put((result, error)))
        images = Classifier.images(1)
        for i, name in enumerate(["classifier", "nobody", "classifier"]):
            self.client.async_stream_infer(name, [image_input(images)], request_id=str(i))
        received = [answers.get(timeout=60) for _ in range(3)]
        self.client.stop_stream()
        good = [result for result, error in received if error is None]
        bad = [error for result, error in received if error is not None]
        self.assertEqual(sorted(result.get_response().id for result in good), ["0", "2"])
        self.assertEqual(len(bad), 1)
        self.assertIn("nobody", str(bad[0]))
        for result in good:
            np.testing.assert_allclose(result.as_numpy("logits"), self.classifier.expected(images), **TOLERANCE)

    def test_several_inputs_and_outputs_of_several_types(self):
        ids, x = np.array([[1, -2, 3, 1 << 20]], np.int64), np.array([[0.5, 1, -1, 2]], np.float32)
        inputs = [triton.InferInput("x", [1, 4], "FP32"), triton.InferInput("ids", [1, 4], "INT64")]
        inputs[0].set_data_from_numpy(x)
        inputs[1].set_data_from_numpy(ids)
        result = self.client.infer("two", inputs)
        np.testing.assert_array_equal(result.as_numpy("total"), ids.astype(np.float32) + x)
        np.testing.assert_array_equal(result.as_numpy("product"), ids.astype(np.float32) * x)
        only = self.client.infer("two", inputs, outputs=[triton.InferRequestedOutput("product")])
        self.assertEqual([output.name for output in only.get_response().outputs], ["product"])

    def test_typed_contents_are_answered_raw(self):
        images = Classifier.images(1)
        request = self.raw_request(images)
        del request.raw_input_contents[:]
        request.inputs[0].contents.fp32_contents.extend(images.ravel().tolist())
        reply = self.stub().ModelInfer(request)
        self.assertEqual(len(reply.raw_output_contents), 1)
        logits = np.frombuffer(reply.raw_output_contents[0], np.float32).reshape(1, -1)
        np.testing.assert_allclose(logits, self.classifier.expected(images), **TOLERANCE)

    def test_nan_and_infinity_are_numbers_like_others(self):
        for value in (np.nan, np.inf):
            images = Classifier.images(1)
            images[0, 0, 0, 0] = value
            logits = self.client.infer("classifier", [image_input(images)]).as_numpy("logits")
            self.assertEqual(logits.shape, (1, 10))
        self.test_sync_answer_is_the_networks()

    def test_metadata_config_and_statistics(self):
        metadata = self.client.get_model_metadata("classifier")
        self.assertEqual((metadata.inputs[0].name, metadata.inputs[0].datatype), ("image", "FP32"))
        self.assertEqual(list(metadata.inputs[0].shape), [-1, 3, 8, 8])
        self.assertEqual(list(metadata.outputs[0].shape), [-1, 10])
        self.assertEqual(self.client.get_model_config("classifier").config.name, "classifier")
        extensions = self.client.get_server_metadata().extensions
        self.assertIn("statistics", extensions)
        self.client.infer("classifier", [image_input(Classifier.images(2))])
        statistics = self.client.get_inference_statistics("classifier").model_stats[0]
        self.assertGreater(statistics.inference_stats.success.count, 0)
        self.assertGreater(statistics.inference_stats.compute_infer.ns, 0)

    def test_liveness_and_readiness(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("classifier"))
        self.assertTrue(self.client.is_model_ready("classifier@fp32"))
        self.assertFalse(self.client.is_model_ready("classifier@int8"))

    # ---- wrong ----

    def stub(self) -> service_pb2_grpc.GRPCInferenceServiceStub:
        channel = grpc.insecure_channel(self.server.target)
        self.addCleanup(channel.close)
        return service_pb2_grpc.GRPCInferenceServiceStub(channel)

    def raw_request(self, images: np.ndarray) -> service_pb2.ModelInferRequest:
        request = service_pb2.ModelInferRequest(model_name="classifier")
        request.inputs.add(name="image", datatype="FP32", shape=images.shape)
        request.raw_input_contents.append(images.tobytes())
        return request

    def expect_rpc_code(self, code: grpc.StatusCode, request: service_pb2.ModelInferRequest) -> str:
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub().ModelInfer(request)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        return raised.exception.details()

    def test_unknown_names_are_not_found(self):
        tensor = image_input(Classifier.images(1))
        self.assertIn("nobody", self.expect_status("NOT_FOUND", self.client.infer, "nobody", [tensor]))
        self.assertIn("int8", self.expect_status("NOT_FOUND", self.client.infer, "classifier@int8", [tensor]))
        self.expect_status("NOT_FOUND", self.client.infer, "classifier", [tensor], model_version="9")
        self.expect_status("NOT_FOUND", self.client.get_model_metadata, "nobody")
        self.expect_status("NOT_FOUND", self.client.get_model_config, "nobody")
        self.expect_status("NOT_FOUND", self.client.get_inference_statistics, "nobody")
        self.expect_status("NOT_FOUND", self.client.load_model, "nobody")

    def test_inputs_that_do_not_fit_are_invalid_and_named(self):
        wrong_shape = image_input(np.zeros((1, 3, 8, 9), np.float32))
        self.assertIn("image", self.expect_status("INVALID_ARGUMENT", self.client.infer, "classifier", [wrong_shape]))
        wrong_rank = image_input(np.zeros((3, 8, 8), np.float32))
        self.expect_status("INVALID_ARGUMENT", self.client.infer, "classifier", [wrong_rank])
        wrong_type = triton.InferInput("image", [1, 3, 8, 8], "INT64")
        wrong_type.set_data_from_numpy(np.zeros((1, 3, 8, 8), np.int64))
        self.assertIn("FP32", self.expect_status("INVALID_ARGUMENT", self.client.infer, "classifier", [wrong_type]))
        wrong_name = triton.InferInput("picture", [1, 3, 8, 8], "FP32")
        wrong_name.set_data_from_numpy(Classifier.images(1))
        self.assertIn("picture", self.expect_status("INVALID_ARGUMENT", self.client.infer, "classifier", [wrong_name]))
        self.expect_status("INVALID_ARGUMENT", self.client.infer, "classifier",
                           [image_input(Classifier.images(1))] * 2)
        self.expect_status("INVALID_ARGUMENT", self.client.infer, "classifier", [image_input(Classifier.images(1))],
                           outputs=[triton.InferRequestedOutput("nothing")])
        ids = triton.InferInput("ids", [1, 4], "INT64")
        ids.set_data_from_numpy(np.zeros((1, 4), np.int64))
        self.assertIn("x", self.expect_status("INVALID_ARGUMENT", self.client.infer, "two", [ids]))

    def test_raw_bytes_of_the_wrong_number_are_invalid(self):
        images = Classifier.images(1)
        for change in (lambda raw: raw[:-1], lambda raw: raw[:-4], lambda raw: raw + b"\0", lambda raw: b""):
            request = self.raw_request(images)
            request.raw_input_contents[0] = change(request.raw_input_contents[0])
            self.expect_rpc_code(grpc.StatusCode.INVALID_ARGUMENT, request)

    def test_malformed_requests_are_invalid(self):
        images = Classifier.images(1)
        more_raw = self.raw_request(images)
        more_raw.raw_input_contents.append(b"")
        no_data = self.raw_request(images)
        del no_data.raw_input_contents[:]
        negative = self.raw_request(images)
        negative.inputs[0].shape[0] = -1
        huge = self.raw_request(images)
        huge.inputs[0].shape[0] = 1 << 62
        unknown_type = self.raw_request(images)
        unknown_type.inputs[0].datatype = "FP17"
        no_inputs = service_pb2.ModelInferRequest(model_name="classifier")
        for request in (more_raw, no_data, negative, huge, unknown_type, no_inputs):
            self.expect_rpc_code(grpc.StatusCode.INVALID_ARGUMENT, request)
        no_model = self.raw_request(images)
        no_model.model_name = ""
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub().ModelInfer(no_model)
        self.assertIn(raised.exception.code(), (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND))

    def test_shared_memory_trace_and_log_are_unimplemented(self):
        for call in (self.client.get_system_shared_memory_status, self.client.get_cuda_shared_memory_status,
                     self.client.get_trace_settings, self.client.get_log_settings):
            self.expect_status("UNIMPLEMENTED", call)
        tensor = triton.InferInput("image", list(Classifier.images(1).shape), "FP32")
        tensor.set_shared_memory("region", 64)
        self.assertIn("--system_shared_memory", self.expect_status("UNIMPLEMENTED", self.client.infer, "classifier", [tensor]))


class SharedMemoryTest(ServerTest):
    """Tensors in the system's shared memory, by Triton's own client."""
    flags = ("--system_shared_memory",)
    classifier = Classifier()

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", cls.classifier.file())

    def setUp(self):
        self.client = triton.InferenceServerClient(self.server.target)
        self.addCleanup(self.client.close)
        self.addCleanup(self.client.unregister_system_shared_memory)

    def region(self, name: str, size: int):
        """A registered object of `size` bytes, gone with the test."""
        handle = shared_memory.create_shared_memory_region(name, f"/precis_e2e_{os.getpid()}_{name}", size)
        self.addCleanup(shared_memory.destroy_shared_memory_region, handle)
        self.client.register_system_shared_memory(name, f"/precis_e2e_{os.getpid()}_{name}", size)
        return handle

    def test_answers_from_and_into_shared_memory(self):
        images = Classifier.images(2)
        source, target = self.region("source", images.nbytes), self.region("target", 2 * CLASSES * 4)
        shared_memory.set_shared_memory_region(source, [images])
        tensor = triton.InferInput("image", list(images.shape), "FP32")
        tensor.set_shared_memory("source", images.nbytes)
        output = triton.InferRequestedOutput("logits")
        output.set_shared_memory("target", 2 * CLASSES * 4)
        result = self.client.infer("classifier", [tensor], outputs=[output])
        self.assertEqual(list(result.get_output("logits").shape), [2, CLASSES])
        self.assertEqual(result.get_output("logits").parameters["shared_memory_region"].string_param, "target")
        logits = shared_memory.get_contents_as_numpy(target, np.float32, [2, CLASSES])
        np.testing.assert_allclose(logits, self.classifier.expected(images), **TOLERANCE)
        inline = self.client.infer("classifier", [tensor])  # the input there, the output in the message
        np.testing.assert_array_equal(inline.as_numpy("logits"), logits)

    def test_status_names_what_is_registered(self):
        self.region("one", 64)
        status = self.client.get_system_shared_memory_status("one").regions["one"]
        self.assertEqual((status.key, status.offset, status.byte_size), (f"/precis_e2e_{os.getpid()}_one", 0, 64))
        self.client.unregister_system_shared_memory("one")
        self.assertEqual(len(self.client.get_system_shared_memory_status().regions), 0)
        self.assertIn("system_shared_memory", self.client.get_server_metadata().extensions)
        self.assertEqual(len(self.client.get_cuda_shared_memory_status().regions), 0)
        self.client.unregister_cuda_shared_memory()

    def test_an_object_that_shrinks_fails_its_requests_and_no_other(self):
        images = Classifier.images(1)
        source = self.region("source", images.nbytes)
        shared_memory.set_shared_memory_region(source, [images])
        tensor = triton.InferInput("image", list(images.shape), "FP32")
        tensor.set_shared_memory("source", images.nbytes)
        self.client.infer("classifier", [tensor])
        os.truncate(f"/dev/shm/precis_e2e_{os.getpid()}_source", 16)
        with self.assertRaises(InferenceServerException) as raised:
            self.client.infer("classifier", [tensor])
        self.assertEqual(raised.exception.status(), "StatusCode.FAILED_PRECONDITION")
        self.assertIn("shorter", raised.exception.message())
        result = self.client.infer("classifier", [image_input(images)])
        np.testing.assert_allclose(result.as_numpy("logits"), self.classifier.expected(images), **TOLERANCE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
