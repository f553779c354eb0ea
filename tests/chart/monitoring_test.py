#!/usr/bin/python3
"""Alert rules and the dashboard are valid, ask only for metrics and labels that the operator has, and show all of them."""

import json
import pathlib
import re
import tempfile
import unittest

import yaml

from chart import CHART, HERE, REGISTRY, TOP, objects, one
from harness import processes

_RULES = CHART / "rules/imagebuild.yaml"
_DASHBOARD = CHART / "dashboards/imagebuild.json"
_NOT_SHOWN = {"process_virtual_memory_bytes", "process_max_fds"}
_TARGET_LABELS = {"instance", "job", "namespace", "pod"}  # Prometheus adds them.

_SPECS = re.compile(r'\{"([a-z_]+)",\s*MetricType::k(\w+),\s*"([a-z,]*)"')
_METRIC = re.compile(r"\b((?:imagebuild|workqueue|controller_runtime|rest_client|leader_election|process)_[a-z_]+)\b(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")


def documented() -> dict[str, set[str]]:
    """Every series of the operator → its labels, from the table that it makes its metrics from."""
    series = {}
    for name, kind, labels in _SPECS.findall((TOP / "operator/metrics_table.h").read_text()):
        own = set(filter(None, labels.split(",")))
        suffixes = {"_bucket": {"le"}, "_sum": set(), "_count": set()} if kind == "Histogram" else {"": set()}
        series |= {name + suffix: own | more for suffix, more in suffixes.items()}
    return series


def alerts() -> list[dict]:
    return [rule for group in yaml.safe_load(_RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict]:
    return json.loads(_DASHBOARD.read_text())["panels"]


def queries() -> list[str]:
    """The dashboard's queries as Grafana would send them."""
    values = {"$__rate_interval": "2m", "$__range": "6h", "$namespace": ".*"}
    found = [target["expr"] for panel in panels() for target in panel.get("targets", [])]
    for name, value in values.items():
        found = [query.replace(name, value) for query in found]
    return found


class MonitoringTest(unittest.TestCase):
    def assert_asks_for_what_there_is(self, expression: str) -> None:
        known = documented()
        asked = _METRIC.findall(expression)
        self.assertTrue(asked, expression)
        for name, matchers in asked:
            self.assertIn(name, known, expression)
            for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers):
                self.assertIn(label, known[name], f"{name} has no label {label}: {expression}")
        labels = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
        self.assertLessEqual(labels, _TARGET_LABELS.union(*(known[name] for name, _ in asked)), expression)

    def promtool(self, *words) -> str:
        return processes.run("promtool", *words).stdout

    def test_the_table_of_metrics_is_read(self):
        self.assertEqual(documented()["imagebuild_builds_total"], {"namespace", "result", "reason"})
        self.assertEqual(documented()["imagebuild_queue_seconds_bucket"], {"le"})

    def test_alerts_ask_for_what_there_is(self):
        for alert in alerts():
            with self.subTest(alert["alert"]):
                self.assert_asks_for_what_there_is(alert["expr"])

    def test_alerts_say_how_bad_it_is_and_what_to_do(self):
        for alert in alerts():
            self.assertIn(alert["labels"]["severity"], ("critical", "warning"), alert["alert"])
            self.assertEqual(set(alert["annotations"]), {"summary", "description"}, alert["alert"])

    def test_promtool_takes_the_rules(self):
        self.assertIn(f"{len(alerts())} rules found", self.promtool("check", "rules", _RULES))

    def test_alerts_fire_when_they_should(self):
        self.promtool("test", "rules", HERE / "alerts.yaml")
        tested = {test["alertname"] for group in yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"]
                  for test in group["alert_rule_test"] if test["exp_alerts"]}
        self.assertEqual(tested, {alert["alert"] for alert in alerts()}, "each alert has a case in alerts.yaml that fires")

    def test_the_rendered_rule_is_the_file(self):
        rendered = one("PrometheusRule", objects(REGISTRY, "--set=prometheusRule.enabled=true"))
        self.assertEqual(rendered["spec"], yaml.safe_load(_RULES.read_text()))

    def test_panels_ask_for_what_there_is(self):
        for query in queries():
            with self.subTest(query):
                self.assert_asks_for_what_there_is(query)

    def test_panels_have_queries_that_prometheus_parses(self):
        rules = [{"record": f"panel:query:{index}", "expr": query} for index, query in enumerate(queries())]
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "rules.yaml"
            file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
            self.assertIn(f"{len(rules)} rules found", self.promtool("check", "rules", file))

    def test_every_metric_is_shown(self):
        shown = {re.sub("_(bucket|count|sum)$", "", name) for query in queries() for name, _ in _METRIC.findall(query)}
        names = {name for name, _, _ in _SPECS.findall((TOP / "operator/metrics_table.h").read_text())}
        self.assertEqual(names - shown, _NOT_SHOWN)

    def test_panels_have_their_own_numbers_and_places(self):
        numbers = [panel["id"] for panel in panels()]
        self.assertEqual(len(numbers), len(set(numbers)))
        taken = set()
        for panel in panels():
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, f"{panel['title']} lies over another panel")
            taken |= cells

    def test_the_rendered_dashboard_is_the_file(self):
        rendered = one("ConfigMap", objects(REGISTRY, "--set=grafanaDashboard.enabled=true"))
        self.assertEqual(json.loads(rendered["data"]["imagebuild.json"]), json.loads(_DASHBOARD.read_text()))
        self.assertEqual(rendered["metadata"]["labels"]["grafana_dashboard"], "1")


if __name__ == "__main__":
    unittest.main()
