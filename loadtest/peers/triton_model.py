"""A model of Triton's Python backend that runs an ONNX or OpenVINO file in OpenVINO. triton.py puts it into a repository.

The model's config.pbtxt says in its parameters: `file`, and `precision` (f32 or bf16) of what the file leaves in floats.
"""
import json

import openvino
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        core = openvino.Core()
        model = core.read_model(parameters["file"])
        model.reshape({tensor["name"]: [int(d) for d in tensor["dims"]] for tensor in config["input"]})
        # An instance is a process with one thread, as a worker of Precis is a thread: config.pbtxt has one for each core.
        self.request = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": parameters["precision"]}).create_infer_request()

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        for name in self.inputs:
            self.request.set_tensor(name, openvino.Tensor(backend.get_input_tensor_by_name(request, name).as_numpy()))
        self.request.infer()
        return backend.InferenceResponse([backend.Tensor(name, self.request.get_output_tensor(i).data.copy())
                                          for i, name in enumerate(self.outputs)])
