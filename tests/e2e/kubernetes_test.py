"""The Kubernetes manifests: each overlay as kustomize builds it fits the API's schemas, its parts fit each other, and precisd
starts with the arguments that it gives."""
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import kubernetes_validate
import yaml

from precisd import Precisd

CHECKOUT = Path(__file__).resolve().parents[2]

DEPLOY = CHECKOUT / "deploy"
VERSIONS = ("1.29", "1.33", "1.37")  # of Kubernetes: autoscaling/v2 and gRPC probes are stable in all
OVERLAYS = ("small", "production")


def build(overlay: str) -> list[dict]:
    text = subprocess.run(["kustomize", "build", DEPLOY / "kubernetes" / overlay], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def one(objects: list[dict], kind: str) -> dict:
    found = [o for o in objects if o["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def pod_of(template: dict) -> dict:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", **template.get("metadata", {})}, "spec": template["spec"]}


class ManifestTest(unittest.TestCase):
    def builds(self):
        for name in ("base", *(f"overlays/{overlay}" for overlay in OVERLAYS)):
            with self.subTest(name):
                yield name, build(name)

    def test_every_object_fits_the_schema(self):
        for _, objects in self.builds():
            for obj in objects:
                for version in VERSIONS:
                    with self.subTest(kind=obj["kind"], version=version):
                        kubernetes_validate.validate(obj, version, strict=True)

    def test_the_schema_check_sees_mistakes(self):
        deployment = one(build("base"), "Deployment")
        deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)

    def test_selectors_find_the_pods(self):
        for _, objects in self.builds():
            deployment = one(objects, "Deployment")
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            selectors = [deployment["spec"]["selector"]["matchLabels"], one(objects, "Service")["spec"]["selector"],
                         one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
            selectors += [o["spec"]["selector"]["matchLabels"] for o in objects if o["kind"] == "PodDisruptionBudget"]
            selectors += [c["labelSelector"]["matchLabels"] for c in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]]
            for selector in selectors:
                self.assertTrue(selector)
                self.assertLessEqual(selector.items(), labels.items())

    def test_the_service_is_headless_and_its_ports_are_the_containers(self):
        for _, objects in self.builds():
            service = one(objects, "Service")
            self.assertEqual(service["spec"]["clusterIP"], "None")
            container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
            ports = {p["name"]: p["containerPort"] for p in container["ports"]}
            for port in service["spec"]["ports"]:
                self.assertEqual(ports[port["targetPort"]], port["port"])

    def test_pods_are_restricted(self):
        """What the Pod Security Standard "restricted" asks for, and a file system that nobody writes."""
        for _, objects in self.builds():
            spec = one(objects, "Deployment")["spec"]["template"]["spec"]
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
            for container in spec["containers"]:
                context = container["securityContext"]
                self.assertTrue(context["readOnlyRootFilesystem"])
                self.assertFalse(context["allowPrivilegeEscalation"])
                self.assertEqual(context["capabilities"]["drop"], ["ALL"])

    def test_the_pod_lives_as_long_as_the_drain(self):
        for _, objects in self.builds():
            spec = one(objects, "Deployment")["spec"]["template"]["spec"]
            seconds = [float(a.split("=")[1]) for a in spec["containers"][0]["args"] if a.startswith("--drain_")]
            self.assertEqual(len(seconds), 2)
            self.assertGreater(spec["terminationGracePeriodSeconds"], sum(seconds))

    def test_the_autoscaler_follows_the_metric_that_the_adapter_serves(self):
        rules = yaml.safe_load((DEPLOY / "prometheus/adapter.yaml").read_text())["rules"]
        served = {rule["name"]["as"] for rule in rules}
        for name, objects in self.builds():
            if name == "overlays/small":
                self.assertFalse([o for o in objects if o["kind"] in ("HorizontalPodAutoscaler", "PodDisruptionBudget")])
                continue
            scaler = one(objects, "HorizontalPodAutoscaler")["spec"]
            self.assertEqual(scaler["scaleTargetRef"]["name"], one(objects, "Deployment")["metadata"]["name"])
            followed = {m["pods"]["metric"]["name"] for m in scaler["metrics"] if m["type"] == "Pods"}
            self.assertEqual(followed, {"precis_queue_depth"})
            self.assertLessEqual(followed, served)

    def test_precisd_starts_with_the_arguments(self):
        """As the overlay `small` gives them, with folders and ports of this machine."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(CHECKOUT / "demo/repository", f"{folder}/models")
            args = one(build("overlays/small"), "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
            args = [a.replace("=/models", f"={folder}/models").replace("=/cache", f"={folder}/cache") for a in args]
            server = Precisd(*[a for a in args if not a.startswith("--drain_seconds")])
            self.assertEqual(server.metric("precis_weight_bytes", model="fashion", variant="fp32") > 0, True)
            self.assertEqual(server.stop(), 0)


class KServeTest(unittest.TestCase):
    """KServe's own types are in no schema here; the pod inside of the runtime is."""

    runtime = yaml.safe_load((DEPLOY / "kserve/servingruntime.yaml").read_text())
    service = yaml.safe_load((DEPLOY / "kserve/inferenceservice.yaml").read_text())

    def test_the_runtimes_pod_fits_the_schema(self):
        spec = self.runtime["spec"]
        pod = pod_of({"spec": {"containers": spec["containers"], "volumes": spec["volumes"]}})
        for version in VERSIONS:
            kubernetes_validate.validate(pod, version, strict=True)

    def test_the_runtime_is_what_kserve_expects(self):
        spec = self.runtime["spec"]
        self.assertEqual((self.runtime["apiVersion"], self.runtime["kind"]), ("serving.kserve.io/v1alpha1", "ClusterServingRuntime"))
        self.assertEqual([c["name"] for c in spec["containers"]], ["kserve-container"])
        self.assertEqual(spec["protocolVersions"], ["grpc-v2"])
        self.assertEqual([f["name"] for f in spec["supportedModelFormats"]], ["onnx"])
        model = self.service["spec"]["predictor"]["model"]
        self.assertEqual(model["runtime"], self.runtime["metadata"]["name"])
        self.assertEqual(model["modelFormat"]["name"], "onnx")

    def test_precisd_starts_with_the_arguments(self):
        """KServe's placeholders filled in as it fills them: {{.Name}} is the service's, $(VAR) the container's environment."""
        container = self.runtime["spec"]["containers"][0]
        env = {e["name"]: e["value"] for e in container["env"]}
        env |= {e["name"]: e["value"] for e in self.service["spec"]["predictor"]["model"]["env"]}
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(CHECKOUT / "demo/repository/fashion", f"{folder}/models")
            args = [a.replace("{{.Name}}", self.service["metadata"]["name"]).replace("=/mnt/models", f"={folder}/models")
                    .replace("=/cache", f"={folder}/cache") for a in container["args"] if not a.startswith("--drain_seconds")]
            args = [re.sub(r"\$\((\w+)\)", lambda m: env[m.group(1)], a) for a in args]
            server = Precisd(*args)
            self.assertGreater(server.metric("precis_weight_bytes", model="fashion", variant="int8"), 0)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
