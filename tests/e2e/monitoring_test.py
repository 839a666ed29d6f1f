"""Alerts and dashboard fed by a real Prometheus that scrapes a real precisd under load: every panel's query has data."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import yaml

from precisd import BINARIES, Precisd, free_port, precis

CHECKOUT = Path(__file__).resolve().parents[2]

RULES = CHECKOUT / "deploy/prometheus"
DASHBOARD = json.loads((CHECKOUT / "deploy/grafana/precis.json").read_text())
PATIENCE = 120  # seconds
RANGE = "20s"   # what Grafana's $__rate_interval becomes: some scrapes
# No int8 keeps this: the alarm is raised for certain.
ALARM = 'drift { alerts { variant: "int8" min_sqnr_db: 200 min_samples: 20 } }\n'
VARIABLES = {"model": ".*", "variant": ".*", "instance": ".*"}


class Prometheus:
    """A server of its own that scrapes `target` every second and knows the project's alerts."""

    def __init__(self, folder: Path, target: str):
        for file in RULES.iterdir():
            shutil.copy(file, folder)
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": ["alerts.yaml"],
                  "scrape_configs": [{"job_name": "precis", "static_configs": [{"targets": [target]}]}]}
        (folder / "test.yaml").write_text(yaml.safe_dump(config))
        self.address = f"127.0.0.1:{free_port()}"
        self._log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/test.yaml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.address}"],
            stdout=self._log, stderr=self._log, env={**os.environ, "GOMAXPROCS": "1"})

    def get(self, path: str, **query: str) -> dict:
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict]:
        return self.get("query", query=expression)["result"]

    def wait_for(self, expression: str) -> list[dict]:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            try:
                if result := self.query(expression):
                    return result
            except (urllib.error.URLError, ConnectionError):
                pass  # it is starting
            time.sleep(0.2)
        raise AssertionError(f"no data for {expression}\n{self.log()}")

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._log.close()


def concrete(expression: str) -> str:
    """A panel's query with Grafana's variables filled in."""
    expression = expression.replace("$__rate_interval", RANGE)
    return re.sub(r"\$(\w+)", lambda match: VARIABLES[match.group(1)], expression)


def panel_queries() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


class RulesTest(unittest.TestCase):
    def promtool(self, *arguments) -> None:
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_accepts_the_rules_and_the_configuration(self):
        self.promtool("check", "rules", "--lint-fatal", RULES / "alerts.yaml")
        self.promtool("check", "config", RULES / "prometheus.yaml")

    def test_alerts_fire_and_are_silent_as_they_should(self):
        self.promtool("test", "rules", RULES / "alerts_test.yaml")

    def test_every_alert_has_a_test(self):
        tested = {t["alertname"] for test in yaml.safe_load((RULES / "alerts_test.yaml").read_text())["tests"]
                  for t in test["alert_rule_test"] if t.get("exp_alerts")}
        rules = [rule["alert"] for group in yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
        self.assertEqual(sorted(rules), sorted(tested))


class DashboardTest(unittest.TestCase):
    """One precisd with fashion at fp32 and int8, traffic split, shadow runs, some calls that fail, an alarm of drift, and load throughout."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        repository = Path(folder.name, "repository")
        shutil.copytree(CHECKOUT / "demo/repository", repository)
        with open(repository / "fashion/precision.textproto", "a", encoding="utf-8") as policy:
            policy.write(ALARM)
        cls.server = Precisd(f"--model_repository={repository}", "--load=fashion@fp32,fashion@int8")
        cls.addClassCleanup(cls.server.stop)
        done = precis(cls.server, "traffic", "fashion", "--split=fp32:50,int8:50", "--shadow=int8:0.5")
        assert done.returncode == 0, done.stderr
        (Path(folder.name) / "prometheus").mkdir()
        cls.prometheus = Prometheus(Path(folder.name, "prometheus"), cls.server.metrics_target)
        cls.addClassCleanup(cls.prometheus.stop)
        load = subprocess.Popen([BINARIES / "precis_loadtest", f"--target={cls.server.target}", "--model=fashion", "--rate=40",
                                 "--duration=10m", f"--data={CHECKOUT}/demo/repository/fashion/calibration/image.npy"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(lambda: (load.kill(), load.wait()))
        wrong = Path(folder.name, "wrong.npy")  # an image of another size: INVALID_ARGUMENT
        np.save(wrong, np.zeros((1, 1, 5, 5), np.float32))
        mistaken = subprocess.Popen([BINARIES / "precis_loadtest", f"--target={cls.server.target}", "--model=fashion", "--rate=2",
                                     "--duration=10m", f"--data={wrong}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(lambda: (mistaken.kill(), mistaken.wait()))

    def test_every_panel_has_data(self):
        queries = panel_queries()
        self.assertGreater(len(queries), 20)
        for title, expression in queries:
            with self.subTest(title, expression=concrete(expression)):
                result = self.prometheus.wait_for(concrete(expression))
                self.assertFalse(any(float(sample["value"][1]) < 0 for sample in result) and "dB" not in title)

    def test_panels_tell_the_truth(self):
        def value(expression: str) -> float:
            return float(self.prometheus.wait_for(expression)[0]["value"][1])

        self.assertEqual(value("count(precis_build_info)"), 1)
        self.assertGreater(value(f"sum(rate(precis_requests_total[{RANGE}])) > 25"), 25)
        self.assertGreater(value(f'sum(rate(precis_requests_total{{code="INVALID_ARGUMENT"}}[{RANGE}]))'), 0)
        self.assertGreater(value('precis_drift_sqnr_db{variant="int8"}'), 10)

    def test_dashboards_variables_have_values(self):
        self.prometheus.wait_for("precis_weight_bytes")
        for variable in DASHBOARD["templating"]["list"]:
            if variable["type"] != "query":
                continue
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
            found = self.prometheus.get("series", **{"match[]": concrete(series)})
            self.assertTrue({one[label] for one in found}, variable["name"])

    def test_prometheus_evaluates_every_alert(self):
        self.prometheus.wait_for("precis_build_info")
        end = time.monotonic() + PATIENCE
        while True:
            rules = [rule for group in self.prometheus.get("rules")["groups"] for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules) or time.monotonic() > end:
                break
            time.sleep(0.2)
        self.assertGreater(len(rules), 5)
        self.assertEqual({rule["name"]: rule["health"] for rule in rules}, {rule["name"]: "ok" for rule in rules})
        firing = [alert["labels"]["alertname"] for alert in self.prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
        self.assertNotIn("PrecisErrors", firing)  # INVALID_ARGUMENT is no fault of the server

    def test_a_real_alarm_reaches_prometheus(self):
        fired = self.prometheus.wait_for('ALERTS{alertname="PrecisDrift", alertstate="firing"}')[0]["metric"]
        self.assertEqual((fired["model"], fired["variant"], fired["severity"]), ("fashion", "int8", "page"))

    def test_the_autoscalers_metric_is_there(self):
        rule = yaml.safe_load((RULES / "adapter.yaml").read_text())["rules"][0]
        query = (rule["metricsQuery"].replace("<<.Series>>", "precis_queue_depth").replace("<<.LabelMatchers>>", "")
                 .replace("<<.GroupBy>>", "instance"))
        self.assertGreaterEqual(float(self.prometheus.wait_for(query)[0]["value"][1]), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
