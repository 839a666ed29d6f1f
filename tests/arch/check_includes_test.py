"""The architecture rule finds what it must find, and nothing else."""

import tempfile
import unittest
from pathlib import Path

import check_includes

# (path, line of the file, part of the expected message; None when it is allowed)
CASES = [
    ("engine/ir/graph.h", '#include "engine/tensor/tensor.h"', None),
    ("engine/ir/graph.h", '#include "engine/ir/op.h"', None),
    ("engine/ir/graph.h", '#include "engine/onnx/import.h"', "engine/ir may not include engine/onnx"),
    ("engine/onnx/import.cc", '#include "engine/passes/fold.h"', "engine/onnx may not include engine/passes"),
    ("engine/passes/fold.cc", '#include "engine/quant/scale.h"', "engine/passes may not include engine/quant"),
    ("engine/quant/scale.cc", '#include "engine/plan/plan.h"', "engine/quant may not include engine/plan"),
    ("engine/quant/scale.cc", '#include "engine/model.h"', "engine/quant may not include engine"),
    ("engine/plan/plan.cc", '#include "engine/quant/scale.h"', "engine/plan may not include engine/quant"),
    ("engine/plan/plan.cc", '#include "engine/exec/run.h"', "engine/plan may not include engine/exec"),
    ("engine/exec/run.cc", '#include "engine/plan/plan.h"', None),
    ("engine/model.cc", '#include "engine/exec/run.h"', None),
    ("engine/model.cc", '#include "server/app/server.h"', "engine may not include server/app"),
    ("engine/model.cc", '#include "tests/support/model.h"', "engine may not include tests"),
    ("server/rpc/infer.cc", '#include "tests/support/model.h"', "server/rpc may not include tests"),
    ("server/rpc/infer.cc", '#include "engine/model.h"', None),
    ("server/rpc/infer.cc", '#include "engine/plan/plan.h"', "server/rpc may not include engine/plan"),
    ("server/models/repository.cc", '#include "server/rpc/infer.h"', "server/models may not include server/rpc"),
    ("server/app/server.cc", '#include "server/rpc/infer.h"', None),
    ("client/client.cc", '#include "engine/tensor/tensor.h"', "client may not include engine/tensor"),
    ("tests/engine/plan/plan_test.cc", '#include "engine/plan/plan.h"', None),
    ("tests/engine/onnx/import_test.cc", "#include <onnx/onnx_pb.h>", None),
    ("engine/onnx/import.cc", "#include <onnx/onnx_pb.h>", None),
    ("engine/passes/fold.cc", '#include "onnx/onnx_pb.h"', "ONNX headers belong to engine/onnx"),
    ("engine/exec/run.cc", "#include <oneapi/dnnl/dnnl.hpp>", None),
    ("engine/quant/scale.cc", "#include <dnnl.hpp>", "oneDNN headers belong to"),
    ("engine/quant/scale.cc", "  #  include <oneapi/dnnl/dnnl_ukernel.hpp>", "oneDNN headers belong to"),
    ("server/rpc/infer.cc", "#include <grpcpp/grpcpp.h>", None),
    ("server/rpc/infer.cc", '#include "inference/grpc_service.grpc.pb.h"', None),
    ("server/models/repository.cc", "#include <grpcpp/grpcpp.h>", "gRPC headers belong to"),
    ("server/models/repository.cc", '#include "inference/grpc_service.grpc.pb.h"', "gRPC headers belong to"),
    ("engine/model.cc", "#include <grpc/grpc.h>", "gRPC headers belong to"),
    ("engine/plan/plan.cc", '#include "precis/v1/policy.pb.h"', "engine/plan may not include proto"),
    ("server/metrics/registry.cc", "#include <prometheus/registry.h>", None),
    ("server/rpc/infer.cc", "#include <prometheus/registry.h>", "prometheus headers belong to"),
    ("engine/newcomer/a.cc", '#include "engine/quant/scale.h"', None),  # belongs to engine until it has an entry
    ("toys/a.cc", '#include "engine/model.h"', "no entry in MAY_INCLUDE"),
    ("engine/ir/graph.cc", '#include "../tensor/tensor.h"', "is relative"),
    ("engine/ir/graph.cc", "#include <vector>", None),
    ("engine/ir/graph.cc", '// #include "engine/onnx/import.h"', None),
    ("README.md", "apt sources: http://deb.debian" + ".org/debian", "host name of a mirror"),
    ("deploy/Dockerfile", "FROM docker" + ".io/library/debian", "host name of a mirror"),
    ("scripts/a.sh", "pip install --index-url https://pypi" + ".org/simple", "host name of a mirror"),
    ("deploy/Dockerfile", "FROM debian:trixie-slim", None),
    ("scripts/a.sh", "cd /wo" + "rk/main", "a path of one particular machine"),
    ("scripts/a.sh", "cd $root/wo" + "rk/main", None),
    ("engine/tensor/utils.h", "", "a file name says"),
    ("server/models/model_manager.cc", "", "a file name says"),
    ("server/models/communicator.cc", "", None),
]


class CheckIncludesTest(unittest.TestCase):
    def test_each_case(self):
        for path, line, expected in CASES:
            with self.subTest(path=path, line=line), tempfile.TemporaryDirectory() as folder:
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("// first line\n" + line + "\n")
                violations = check_includes.check_repository(Path(folder))
                if expected is None:
                    self.assertEqual(violations, [])
                else:
                    self.assertEqual(len(violations), 1, violations)
                    self.assertIn(expected, violations[0])
                    self.assertTrue(violations[0].startswith(path))

    def test_binary_files_are_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "model.onnx").write_bytes(b"\0 /wo" + b"rk/main")
            self.assertEqual(check_includes.check_repository(Path(folder)), [])

    def test_build_folder_is_left_alone_without_git(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "build").mkdir()
            Path(folder, "build", "a.txt").write_text("cd /wo" + "rk/main\n")
            self.assertEqual(check_includes.check_repository(Path(folder)), [])

    def test_every_layer_of_the_table_exists_in_it(self):
        for layer, allowed in check_includes.MAY_INCLUDE.items():
            for other in allowed:
                self.assertTrue(other in check_includes.MAY_INCLUDE, f"{layer} names {other}")


if __name__ == "__main__":
    unittest.main()
