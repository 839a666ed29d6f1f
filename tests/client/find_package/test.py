#!/usr/bin/env python3
"""Installs the client library, builds a project outside the tree against it, and runs that against a real precisd.

    test.py BUILD_FOLDER [CMAKE ARGUMENTS…]      PRECIS_BINARIES names the folder of precisd
"""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))
from networks import Classifier  # noqa: E402
from precisd import Precisd  # noqa: E402

BUILD_FOLDER, CMAKE_ARGUMENTS = sys.argv[1], sys.argv[2:]


class FindPackageTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_command(self, *command) -> str:
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(outcome.returncode, 0, f"{command}:\n{outcome.stdout}\n{outcome.stderr}")
        return outcome.stdout

    def test_outside_project_builds_and_talks_to_precisd(self):
        prefix = self.folder / "prefix"
        self.run_command("cmake", "--install", BUILD_FOLDER, "--component", "client", "--prefix", prefix)
        self.assertEqual(sorted(path.name for path in (prefix / "include/precis").iterdir()),
                         ["client.h", "tensor.h", "types.h"])
        self.assertTrue((prefix / "bin/precis").exists())
        build = self.folder / "build"
        self.run_command("cmake", "-S", HERE, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", *CMAKE_ARGUMENTS)
        self.run_command("cmake", "--build", build)

        network = Classifier()
        path = self.folder / "net.onnx"
        path.write_bytes(network.file())
        server = Precisd(f"--model=classifier={path}")
        self.addCleanup(server.stop)
        printed = self.run_command(build / "outside", server.target)
        expected = network.expected(np.zeros((1, 3, 8, 8), np.float32))[0]
        np.testing.assert_allclose([float(line) for line in printed.split()], expected, rtol=1e-4, atol=1e-5)
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    assert os.environ.get("PRECIS_BINARIES"), "PRECIS_BINARIES is not set"
    unittest.main(argv=sys.argv[:1], verbosity=2)
