"""Alert rules and the dashboard work on a real Prometheus that scrapes the installed operator."""

import json
import unittest

import operator_install
from cluster.case import ClusterTestCase
from cluster.prometheus import Prometheus, scrape
from cluster_images import CHART

_RUNNING = "app.kubernetes.io/component=operator,app.kubernetes.io/instance=" + operator_install.RELEASE


def dashboard_queries() -> dict[str, str]:
    """Panel and letter → query, as Grafana would send it."""
    panels = json.loads((CHART / "dashboards/imagebuild.json").read_text())["panels"]
    found = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", [])}
    for name, value in {"$__rate_interval": "1m", "$__range": "1h", "$namespace": ".*"}.items():
        found = {panel: query.replace(name, value) for panel, query in found.items()}
    return found


class OperatorMonitoringTest(ClusterTestCase):
    def test_every_query_of_the_dashboard_gives_something_and_no_alert_is_broken(self):
        replicas = self.cluster.list("pods", operator_install.NAMESPACE, _RUNNING)
        targets = [f"{pod['status']['podIP']}:8080" for pod in replicas if pod["status"]["phase"] == "Running"]
        rules = (CHART / "rules/imagebuild.yaml").read_text()
        with Prometheus([scrape("imagebuild", *targets, honor_labels=True)], rules=(rules,)) as prometheus:
            prometheus.wait_for(f"count(imagebuild_build_info) == {len(targets)}")
            prometheus.wait_for("min(count_over_time(imagebuild_build_info[1m])) >= 3")
            for panel, query in dashboard_queries().items():
                with self.subTest(panel):  # a namespace's builds are counted from its first one
                    self.assertTrue(prometheus.query(query) or "imagebuild_builds_total" in query, query)
            evaluated = lambda: all(rule["health"] != "unknown" for rule in prometheus.rules())  # noqa: E731
            self.cluster.wait_until(evaluated, 30, "all rules were evaluated")
            self.assertEqual({rule["name"]: rule["lastError"] for rule in prometheus.rules() if rule["health"] != "ok"}, {})
            # A quota, or a namespace that goes away, refuses what other tests have it create.
            refused = 'rest_client_requests_total{code=~"401|403", method!="POST"} > 0 or rest_client_requests_total{code="401"} > 0'
            self.assertEqual(prometheus.query(refused), [], "a right is missing")


if __name__ == "__main__":
    unittest.main()
