"""deploy/compose/compose.yaml against the programs that it starts: its precisd, its health check, the names in haproxy.cfg."""
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests/e2e"))
from precisd import BINARIES, Precisd  # noqa: E402

COMPOSE = CHECKOUT / "deploy/compose/compose.yaml"


def filled(text: str) -> str:
    """With no variable set: ${NAME:-default}."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


class ComposeTest(unittest.TestCase):
    def setUp(self):
        self.services = yaml.safe_load(filled(COMPOSE.read_text()))["services"]
        self.replicas = {name: service for name, service in self.services.items() if name != "haproxy"}

    def test_haproxy_knows_every_replica_by_name(self):
        servers = re.findall(r'^    server \S+ "\$\{PRECIS_\d+-([^:]+):8001\}"', (CHECKOUT / "deploy/haproxy/haproxy.cfg").read_text(), re.MULTILINE)
        self.assertEqual(sorted(servers), sorted(self.replicas))
        self.assertEqual(sorted(self.services["haproxy"]["depends_on"]), sorted(self.replicas))

    def test_files_that_are_mounted_and_built_are_there(self):
        stages = re.findall(r"^FROM \S+ AS (\S+)", (CHECKOUT / "deploy/Dockerfile").read_text(), re.MULTILINE)
        for service in self.services.values():
            self.assertIn(service["build"]["target"], stages)
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                if source != "./tls":  # made by deploy/haproxy/make_certificates
                    self.assertTrue((COMPOSE.parent / source).exists(), volume)
            self.assertTrue(service["read_only"])
            self.assertEqual(service["cap_drop"], ["ALL"])

    def test_a_replica_starts_as_written_and_its_health_check_finds_it(self):
        replica = self.replicas["precis-1"]
        health = re.search(r"HEALTHCHECK .* CMD (\[.*\])", (CHECKOUT / "deploy/Dockerfile").read_text()).group(1)
        with tempfile.TemporaryDirectory() as folder:
            tls = Path(folder, "tls")
            subprocess.run([CHECKOUT / "deploy/haproxy/make_certificates", tls], check=True, capture_output=True)
            inside = {"/models": str(CHECKOUT / "demo/repository"), "/tls": str(tls), "/cache": folder}

            def outside(text: str) -> str:
                return re.sub("|".join(inside), lambda match: inside[match.group()], text)

            server = Precisd(*(outside(flag) for flag in replica["command"]))
            self.addCleanup(server.stop)
            environment = dict(os.environ) | {name: outside(value) for name, value in replica["environment"].items()}
            probe = [str(BINARIES / "precis"), *yaml.safe_load(health)[1:]]
            checked = subprocess.run(probe, env=environment | {"PRECIS_SERVER": server.target}, capture_output=True, text=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout), (0, "SERVING\n"), checked.stderr)
            checked = subprocess.run(probe, env=dict(os.environ) | {"PRECIS_SERVER": server.target}, capture_output=True, check=False)
            self.assertEqual(checked.returncode, 1, "without the certificates there is no answer")


if __name__ == "__main__":
    unittest.main()
