"""run_onnxruntime.py MODEL.onnx INPUTS.npz OUTPUTS.npz: run_model's twin on ONNX Runtime, in a process of its own because its ONNX schemas
and libonnx's cannot live in one. Optimisations are off: a graph computed as it is written."""
import sys

import numpy as np
import onnxruntime

model, inputs, outputs = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
with np.load(inputs) as arrays:
    results = session.run(None, dict(arrays))
np.savez(outputs, **{spec.name: result for spec, result in zip(session.get_outputs(), results)})
