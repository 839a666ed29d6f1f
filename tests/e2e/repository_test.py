"""Loading and unloading through the repository RPCs, control modes, and models that cannot be served."""
import tempfile
import unittest
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from networks import Classifier, add_model, two_inputs_file, unsupported_file
from precisd import Precisd, ServerTest, precis


def classify(client: triton.InferenceServerClient, name: str = "classifier") -> np.ndarray:
    images = Classifier.images(1)
    tensor = triton.InferInput("image", list(images.shape), "FP32")
    tensor.set_data_from_numpy(images)
    return client.infer(name, [tensor]).as_numpy("logits")


class RepositoryCase(ServerTest):
    def setUp(self):
        self.client = triton.InferenceServerClient(self.server.target)
        self.addCleanup(self.client.close)

    def expect_status(self, code: str, call, *arguments, **keywords) -> str:
        with self.assertRaises(InferenceServerException) as raised:
            call(*arguments, **keywords)
        self.assertEqual(raised.exception.status(), f"StatusCode.{code}", raised.exception.message())
        return raised.exception.message()

    def index(self) -> dict[str, tuple[str, str]]:
        return {model.name: (model.state, model.reason) for model in self.client.get_model_repository_index().models}


class BrokenModelsTest(RepositoryCase):
    """One model in good health among every kind of bad one."""

    @classmethod
    def build(cls, repository: Path) -> None:
        good = Classifier().file()
        add_model(repository, "classifier", good)
        add_model(repository, "garbage", b"\x08\x08 no network")
        add_model(repository, "cut", good[:len(good) // 2])
        add_model(repository, "nothing", b"")
        add_model(repository, "unsupported", unsupported_file())
        add_model(repository, "misspelt", good, precision="polices { }")
        (repository / "hollow" / "1").mkdir(parents=True)

    def test_the_others_are_served(self):
        self.assertEqual(classify(self.client).shape, (1, 10))
        self.assertTrue(self.client.is_server_ready())

    def test_index_says_what_is_wrong_with_each(self):
        index = self.index()
        self.assertEqual(index["classifier"][0], "READY")
        for name in ("garbage", "cut", "nothing", "unsupported", "misspelt", "hollow"):
            state, reason = index[name]
            self.assertEqual(state, "UNAVAILABLE", name)
            self.assertNotEqual(reason, "", name)
        self.assertIn("Det", index["unsupported"][1])
        self.assertIn("polices", index["misspelt"][1])

    def test_the_log_says_it_too(self):
        self.assertIn("unsupported", self.server.log_text())
        self.assertIn("Det", self.server.log_text())

    def test_loading_one_again_gives_the_reason(self):
        self.assertIn("Det", self.expect_status("UNIMPLEMENTED", self.client.load_model, "unsupported"))
        for name in ("garbage", "cut", "nothing", "misspelt"):
            self.expect_status("INVALID_ARGUMENT", self.client.load_model, name)
        self.assertEqual(classify(self.client).shape, (1, 10))


class ExplicitControlTest(RepositoryCase):
    flags = ("--model_control_mode=explicit", "--load=none")

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", Classifier().file(), calibration=Classifier.images(16))
        add_model(repository, "two", two_inputs_file())

    def test_nothing_is_loaded_until_asked(self):
        self.assertNotEqual(self.index()["two"][0], "READY")
        tensor = triton.InferInput("x", [1, 4], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 4), np.float32))
        self.expect_status("NOT_FOUND", self.client.infer, "two", [tensor])

    def test_load_serve_unload(self):
        self.client.load_model("classifier")
        self.assertTrue(self.client.is_model_ready("classifier"))
        classify(self.client)
        self.client.load_model("classifier@int8")
        classify(self.client, "classifier@int8")
        self.client.unload_model("classifier@int8")
        self.assertFalse(self.client.is_model_ready("classifier@int8"))
        self.assertTrue(self.client.is_model_ready("classifier"))
        self.client.unload_model("classifier")
        self.assertFalse(self.client.is_model_ready("classifier"))
        self.expect_status("NOT_FOUND", classify, self.client)
        self.expect_status("NOT_FOUND", self.client.unload_model, "nobody")

    def test_unknown_variant_is_not_found(self):
        self.assertIn("int9", self.expect_status("NOT_FOUND", self.client.load_model, "classifier@int9"))

    def test_new_version_is_served_beside_the_old_one(self):
        add_model(self.repository, "growing", Classifier().file(), config='version_policy { all {} }')
        self.client.load_model("growing")
        (self.repository / "growing" / "2").mkdir()
        (self.repository / "growing" / "2" / "model.onnx").write_bytes(Classifier().file())
        self.client.load_model("growing")
        self.assertTrue(self.client.is_model_ready("growing", "1"))
        self.assertTrue(self.client.is_model_ready("growing", "2"))
        self.client.unload_model("growing")


class ControlModeNoneTest(RepositoryCase):
    flags = ("--model_control_mode=none",)

    @classmethod
    def build(cls, repository: Path) -> None:
        add_model(repository, "classifier", Classifier().file())

    def test_load_and_unload_are_refused(self):
        for call in (self.client.load_model, self.client.unload_model):
            with self.assertRaises(InferenceServerException) as raised:
                call("classifier")
            self.assertIn(raised.exception.status(), ("StatusCode.UNAVAILABLE", "StatusCode.FAILED_PRECONDITION",
                                                      "StatusCode.UNIMPLEMENTED"))
        self.assertEqual(classify(self.client).shape, (1, 10))


class StartTest(unittest.TestCase):
    """What the command line decides."""

    def test_bare_file_is_a_model(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "net.onnx")
            path.write_bytes(Classifier().file())
            server = Precisd(f"--model=mine={path}")
            self.addCleanup(server.stop)
            with triton.InferenceServerClient(server.target) as client:
                self.assertEqual(classify(client, "mine").shape, (1, 10))
            self.assertEqual(server.stop(), 0)

    def test_strict_readiness_makes_a_failed_model_count(self):
        with tempfile.TemporaryDirectory() as folder:
            add_model(Path(folder), "classifier", Classifier().file())
            add_model(Path(folder), "garbage", b"no network")
            server = Precisd(f"--model_repository={folder}", "--strict_readiness")
            self.addCleanup(server.stop)
            with triton.InferenceServerClient(server.target) as client:
                self.assertFalse(client.is_server_ready())
                self.assertEqual(classify(client).shape, (1, 10))
            self.assertEqual(precis(server, "health").stdout, "NOT_SERVING\n")

    def test_load_chooses_variants(self):
        with tempfile.TemporaryDirectory() as folder:
            add_model(Path(folder), "classifier", Classifier().file(), calibration=Classifier.images(16))
            add_model(Path(folder), "two", two_inputs_file())
            server = Precisd(f"--model_repository={folder}", "--load=classifier@int8,classifier@bf16")
            self.addCleanup(server.stop)
            with triton.InferenceServerClient(server.target) as client:
                self.assertTrue(client.is_model_ready("classifier@int8"))
                self.assertTrue(client.is_model_ready("classifier@bf16"))
                self.assertFalse(client.is_model_ready("classifier@fp32"))
                self.assertFalse(client.is_model_ready("two"))

    def test_wrong_flags_end_it_at_once(self):
        for flags in (["--model_repository=/nowhere"], ["--nonsense"], []):
            with self.assertRaises(RuntimeError, msg=str(flags)):
                Precisd(*flags)


if __name__ == "__main__":
    unittest.main(verbosity=2)
