"""Helm installs the operator, it builds the first example, and a real Prometheus can tell how it is."""

import json
import pathlib
import tempfile
import unittest

import cluster_operator
from cluster.case import ClusterTestCase
from cluster.prometheus import Prometheus, scrape
from cluster_images import CHART, TOP
from harness.image import Image

def dashboard_queries() -> dict[str, str]:
    """Panel and letter → query, as Grafana would send it."""
    panels = json.loads((CHART / "dashboards/imagebuild.json").read_text())["panels"]
    found = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", [])}
    for name, value in {"$__rate_interval": "1m", "$__range": "1h", "$namespace": ".*"}.items():
        found = {panel: query.replace(name, value) for panel, query in found.items()}
    return found


class InstallTest(ClusterTestCase):
    def test_helm_installs_the_operator(self):
        cluster_operator.install(self.cluster)
        self.assertEqual(len(cluster_operator.pods(self.cluster)), 2)
        self.assertEqual(len({pod["spec"]["nodeName"] for pod in cluster_operator.pods(self.cluster)}), len(self.cluster.nodes))
        self.assertEqual(len(self.cluster.list("poddisruptionbudgets", cluster_operator.NAMESPACE)), 1)

    def test_the_first_example_is_built_as_it_stands(self):
        image = f"{self.cluster.registry}/{self.namespace}/hello:1"
        example = (TOP / "examples/hello/imagebuild.yaml").read_text()
        self.assertIn("registry.example/hello:1", example)
        self.apply(example.replace("registry.example/hello:1", image))
        built = self.cluster.wait_for_condition("imagebuild", "hello", "Ready", "True", 240, self.namespace)
        self.assertEqual(built["status"]["stageSummary"], "3/3")
        with tempfile.TemporaryDirectory(prefix="imagebuild-e2e-") as folder:
            pushed = Image(f"docker://{image}", pathlib.Path(folder) / "hello")
            self.assertEqual(pushed.digest, built["status"]["image"]["digest"])
            self.assertEqual(pushed.run().stdout, "Hello, world!\n")

    def test_alerts_and_dashboard_work_on_a_real_prometheus(self):
        rules = (CHART / "rules/imagebuild.yaml").read_text()
        targets = cluster_operator.metrics_targets(self.cluster)
        with Prometheus([scrape("imagebuild", *targets, honor_labels=True)], rules=(rules,)) as prometheus:
            prometheus.wait_for(f"count(imagebuild_build_info) == {len(targets)}")
            prometheus.wait_for('min(count_over_time(process_cpu_seconds_total{job="imagebuild"}[1m])) >= 3')
            for panel, query in dashboard_queries().items():
                with self.subTest(panel):
                    self.assertTrue(prometheus.query(query) or "imagebuild_builds_total" in query, query)
            self.assertEqual(prometheus.value('sum(leader_election_master_status{name="imagebuild-operator"})'), 1)
            self.cluster.wait_until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()), 30, "all rules were evaluated")
            self.assertEqual({rule["name"]: rule["lastError"] for rule in prometheus.rules() if rule["health"] != "ok"}, {})
            firing = {alert["metric"]["alertname"] for alert in prometheus.query('ALERTS{alertstate="firing"}')}
            self.assertEqual(firing, set())
            self.assertEqual(prometheus.query('rest_client_requests_total{code=~"401|403"}'), [], "a right is missing")


if __name__ == "__main__":
    unittest.main()
