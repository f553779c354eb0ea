"""What a real Prometheus learns from the operator: before the first build, after good and bad ones, and when it is gone."""

import math
import re
import subprocess
import unittest
import urllib.request

from cluster.prometheus import PROMTOOL, Prometheus, check_rules, scrape
from cluster_images import CHART, TOP
from image_builds import HOLD
from operator_monitoring_test import dashboard_queries
from operator_release import ReleaseTestCase

# Their series appear with the first ImageBuild of a namespace, as docs/reference/metrics.md says.
_LATER = {"imagebuild_builds_total"}


def _documented() -> dict[str, str]:
    """Metric → its type."""
    text = (TOP / "docs/reference/metrics.md").read_text()
    return dict(re.findall(r"(?m)^\| `([a-z_]+)` \| (counter|gauge|histogram) \|", text))


class OperatorMetricsTest(ReleaseTestCase):
    def text(self, pod: str) -> str:
        with urllib.request.urlopen(f"http://{self.metrics_address(pod)}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def test_every_metric_is_there_at_zero_before_the_first_build(self):
        self.install()
        self.wait_leader()
        for pod in self.operator_pods():
            text, metrics = self.text(pod), self.metrics(pod)
            told = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
            self.assertEqual(_documented().items() - told.items() - {(name, "counter") for name in _LATER}, set())
            series = {name.partition("{")[0] for name in metrics}
            for name in _documented():
                with self.subTest(pod=pod, metric=name):
                    self.assertTrue({name, f"{name}_count"} & series or name in _LATER)
            started = {name: value for name, value in metrics.items()
                       if name.startswith("imagebuild_") and not name.startswith("imagebuild_build_info") and value != 0}
            self.assertEqual(started, {})
            checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_dashboard_and_alerts_show_good_and_failed_builds(self):
        self.install()
        self.wait_leader()
        targets = [self.metrics_address(pod) for pod in self.operator_pods()]
        rules = (CHART / "rules/imagebuild.yaml").read_text()
        check_rules(rules)
        with Prometheus([scrape("imagebuild", *targets, honor_labels=True)], rules=(rules,)) as prometheus:
            prometheus.wait_for(f"sum(count_over_time(imagebuild_build_info[1m])) >= {3 * len(targets)}")
            cache = {"registry": {"repository": self.repository("results"), "insecure": True}}
            self.build("good", f"FROM busybox:1.35 AS held\nRUN {HOLD}\n", cache=cache)
            for number in range(4):
                self.build(f"bad-{number}", f"FROM busybox:1.35\nRUN exit {number + 1}\n")
            self.let_go(self.wait_running("good", "held"))  # a stage that runs for a while is seen to start
            self.wait_ready("good")
            for number in range(4):
                self.wait_failed(f"bad-{number}", "StepFailed")
            mine = f'namespace="{self.namespace}"'
            prometheus.wait_for(f'sum(imagebuild_builds_total{{{mine}, result="failed", reason="StepFailed"}}) == 4')
            prometheus.wait_for(f'sum(imagebuild_builds_total{{{mine}, result="succeeded"}}) == 1')
            for panel, query in dashboard_queries().items():
                query = query.replace("[1m]", "[10m]")  # all that this test did
                with self.subTest(panel):
                    values = [float(series["value"][1]) for series in prometheus.query(query)]
                    self.assertTrue([value for value in values if not math.isnan(value)], query)
            self._check_alerts(prometheus)
            self.operator_kubectl("scale", self.deployment, "--replicas=0")
            prometheus.wait_for('ALERTS{alertname="ImageBuildOperatorDown"}', 60)

    def _check_alerts(self, prometheus: Prometheus) -> None:
        """More than half of the builds failed; nothing else is wrong, and no rule is broken."""
        prometheus.wait_for('ALERTS{alertname="ImageBuildsFailing"}')
        evaluated = lambda: all(rule["health"] != "unknown" for rule in prometheus.rules())  # noqa: E731
        self.cluster.wait_until(evaluated, 30, "all rules were evaluated")
        self.assertEqual({rule["name"]: rule["lastError"] for rule in prometheus.rules() if rule["health"] != "ok"}, {})
        self.assertEqual({alert["metric"]["alertname"] for alert in prometheus.query("ALERTS")}, {"ImageBuildsFailing"})


if __name__ == "__main__":
    unittest.main()
