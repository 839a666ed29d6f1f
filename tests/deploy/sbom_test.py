"""deploy/image/sbom.py on a small status file and on this machine's own."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "deploy/image/sbom.py"
STATUS = """Package: libdnnl3.6
Status: install ok installed
Maintainer: Debian Deep Learning Team <team@example.invalid>
Architecture: amd64
Source: onednn (3.7.2+ds-1)
Version: 3.7.2+ds-1+b2
Description: deep neural network library
 Status: install ok installed

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.3.1
"""


def run(path: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, "--version=1.2.3", path], capture_output=True, text=True, check=False)


class SbomTest(unittest.TestCase):
    def document(self, status: str) -> dict:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(status)
            file.flush()
            done = run(file.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_names_installed_packages_and_their_sources(self):
        document = self.document(STATUS)
        self.assertEqual((document["bomFormat"], document["specVersion"]), ("CycloneDX", "1.6"))
        self.assertEqual(document["metadata"]["component"]["name"], "precis")
        self.assertEqual(document["metadata"]["component"]["version"], "1.2.3")
        components = {component["name"]: component for component in document["components"]}
        self.assertEqual(set(components), {"libdnnl3.6", "zlib1g"})
        self.assertEqual(components["libdnnl3.6"]["purl"],
                         "pkg:deb/debian/libdnnl3.6@3.7.2%2Bds-1%2Bb2?arch=amd64&distro=debian-13&upstream=onednn%403.7.2%2Bds-1")
        depends = next(entry for entry in document["dependencies"] if entry["ref"] == "precis")["dependsOn"]
        self.assertEqual(set(depends), {component["bom-ref"] for component in components.values()})

    def test_is_the_same_for_the_same_packages(self):
        first, second = self.document(STATUS), self.document(STATUS)
        first["metadata"].pop("timestamp"), second["metadata"].pop("timestamp")
        self.assertEqual(first, second)
        self.assertNotEqual(first["serialNumber"], self.document(STATUS.replace("1.3.1", "1.3.2"))["serialNumber"])

    def test_takes_a_real_status_file(self):
        components = self.document(Path("/var/lib/dpkg/status").read_text())["components"]
        self.assertIn("libdnnl3.6", {component["name"] for component in components})

    def test_refuses_what_is_no_status_file(self):
        for path in ("/nowhere", "/dev/null"):
            done = run(path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(path, done.stderr)


if __name__ == "__main__":
    unittest.main()
