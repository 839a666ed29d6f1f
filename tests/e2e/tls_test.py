"""TLS and mutual TLS of the gRPC port, with certificates that openssl makes here, against precis and another maker's client."""
import os
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

from networks import add_model, two_inputs_file
from precisd import BINARIES, DEFAULT_FLAGS, Precisd, precis


class Authority:
    """Signs certificates for the length of a test; files are PEM."""

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        self.cert, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                      f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for localhost and 127.0.0.1, and its key."""
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                      f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE",
                      "-CA", self.cert, "-CAkey", self.key, "-keyout", key, "-out", cert)
        return cert, key

    def _openssl(self, *arguments) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class TlsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        add_model(self.folder / "models", "two", two_inputs_file())
        self.authority = Authority(self.folder, "authority")
        self.cert, self.key = self.authority.issue("server")

    def start(self, *flags: str) -> Precisd:
        server = Precisd(f"--model_repository={self.folder / 'models'}", f"--tls_cert={self.cert}", f"--tls_key={self.key}", *flags)
        self.addCleanup(lambda: self.assertEqual(server.stop(), 0, server.log_text()))
        return server

    def health(self, server: Precisd, *flags: str) -> subprocess.CompletedProcess:
        return precis(server, "health", "--timeout=5s", *flags)

    def serial_shown(self, server: Precisd) -> bytes:
        """The certificate that a new connection is shown, DER."""
        host, port = server.target.split(":")
        context = ssl.create_default_context(cafile=self.authority.cert)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with socket.create_connection((host, int(port)), timeout=10) as raw, context.wrap_socket(raw) as connection:
            self.assertEqual(connection.selected_alpn_protocol(), "h2")
            return connection.getpeercert(binary_form=True)

    def test_clients_that_trust_the_authority_are_served_and_others_are_not(self):
        server = self.start()
        served = self.health(server, f"--tls-ca={self.authority.cert}")
        self.assertEqual((served.returncode, served.stdout), (0, "SERVING\n"), served.stderr)
        stranger = Authority(self.folder, "stranger")
        for flags in ((), ("--tls",), (f"--tls-ca={stranger.cert}",),
                      (f"--tls-ca={self.authority.cert}", "--tls-server-name=elsewhere")):
            refused = self.health(server, *flags)
            self.assertEqual(refused.returncode, 1, flags)
            self.assertIn("UNAVAILABLE", refused.stderr)
        inferred = precis(server, "infer", "two", "--random", f"--tls-ca={self.authority.cert}")
        self.assertEqual(inferred.returncode, 0, inferred.stderr)

    def test_triton_client_over_mutual_tls(self):
        cert, key = self.authority.issue("client")
        server = self.start(f"--tls_client_ca={self.authority.cert}")
        with triton.InferenceServerClient(server.target, ssl=True, root_certificates=str(self.authority.cert),
                                          private_key=str(key), certificate_chain=str(cert)) as client:
            self.assertTrue(client.is_model_ready("two"))

    def test_mutual_tls_wants_a_certificate_of_the_authority(self):
        cert, key = self.authority.issue("client")
        other_cert, other_key = Authority(self.folder, "stranger").issue("intruder")
        server = self.start(f"--tls_client_ca={self.authority.cert}")
        ca = f"--tls-ca={self.authority.cert}"
        served = self.health(server, ca, f"--tls-cert={cert}", f"--tls-key={key}")
        self.assertEqual((served.returncode, served.stdout), (0, "SERVING\n"), served.stderr)
        self.assertEqual(self.health(server, ca).returncode, 1)
        self.assertEqual(self.health(server, ca, f"--tls-cert={other_cert}", f"--tls-key={other_key}").returncode, 1)

    def test_certificates_may_come_from_the_environment(self):
        cert, key = self.authority.issue("client")
        server = self.start(f"--tls_client_ca={self.authority.cert}")
        environment = dict(os.environ) | {"PRECIS_TLS_CA": str(self.authority.cert), "PRECIS_TLS_CERT": str(cert), "PRECIS_TLS_KEY": str(key)}
        for command in (["precis", f"--server={server.target}", "health"],
                        ["precis_loadtest", f"--target={server.target}", "--model=two", "--concurrency=1", "--duration=200ms", "--warmup=100ms"]):
            done = subprocess.run([str(BINARIES / command[0]), *command[1:]], env=environment, capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")

    def wait_for(self, what: str, condition) -> None:
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)

    def test_new_files_are_used_without_a_restart_and_bad_ones_end_nothing(self):
        server = self.start()
        ca = f"--tls-ca={self.authority.cert}"
        first = self.serial_shown(server)
        held = triton.InferenceServerClient(server.target, ssl=True, root_certificates=str(self.authority.cert))
        self.addCleanup(held.close)
        self.assertTrue(held.is_server_ready())
        new_cert, new_key = self.authority.issue("renewed")
        os.replace(new_key, self.key)  # now the key is not the certificate's
        time.sleep(2.5)
        self.assertTrue(held.is_server_ready(), "a connection that stands is not touched")
        os.replace(new_cert, self.cert)
        self.wait_for("the new certificate is shown",
                      lambda: self.health(server, ca).returncode == 0 and self.serial_shown(server) != first)
        self.cert.unlink()
        self.key.write_text("no key")
        time.sleep(2.5)
        self.assertTrue(held.is_server_ready())
        again_cert, again_key = self.authority.issue("again")
        os.replace(again_key, self.key)
        os.replace(again_cert, self.cert)
        self.wait_for("the server takes good files after bad ones", lambda: self.health(server, ca).returncode == 0)

    def test_files_that_are_wrong_from_the_start_are_named(self):
        other_cert, other_key = self.authority.issue("other")
        garbage = self.folder / "garbage.pem"
        garbage.write_text("no PEM")
        for flags, message in (
                ((f"--tls_cert={self.cert}", f"--tls_key={other_key}"), "is not the key of the certificate"),
                ((f"--tls_cert={garbage}", f"--tls_key={self.key}"), "--tls_cert: "),
                ((f"--tls_cert={self.cert}", f"--tls_key={garbage}"), "--tls_key: "),
                ((f"--tls_cert={self.cert}", f"--tls_key={self.folder / 'nowhere'}"), "cannot read"),
                ((f"--tls_cert={self.cert}", f"--tls_key={self.key}", f"--tls_client_ca={garbage}"), "--tls_client_ca: ")):
            ended = subprocess.run([BINARIES / "precisd", f"--model_repository={self.folder / 'models'}", *DEFAULT_FLAGS, *flags],
                                   capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(ended.returncode, 1)
            self.assertIn(message, ended.stderr)


class ConnectionAgeTest(unittest.TestCase):
    def test_connections_end_at_their_age_and_no_call_is_lost(self):
        with tempfile.TemporaryDirectory() as folder:
            add_model(Path(folder), "two", two_inputs_file())
            server = Precisd(f"--model_repository={folder}", "--max_connection_age=0.5")
            self.addCleanup(lambda: self.assertEqual(server.stop(), 0, server.log_text()))
            inputs = [triton.InferInput("ids", [1, 4], "INT64"), triton.InferInput("x", [1, 4], "FP32")]
            inputs[0].set_data_from_numpy(np.zeros((1, 4), np.int64))
            inputs[1].set_data_from_numpy(np.zeros((1, 4), np.float32))
            with triton.InferenceServerClient(server.target) as client:
                ports = set()
                end = time.monotonic() + 3
                while time.monotonic() < end:
                    client.infer("two", inputs)
                    ports |= self.client_ports(server)
            self.assertGreaterEqual(len(ports), 3, "six ages passed")

    def client_ports(self, server: Precisd) -> set[str]:
        """The far ends of the server's standing connections (proc_net_tcp(5): 01 is ESTABLISHED)."""
        port = f":{int(server.target.split(':')[1]):04X}"
        rows = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()[1:]]
        return {row[2] for row in rows if row[1].endswith(port) and row[3] == "01"}


if __name__ == "__main__":
    unittest.main()
