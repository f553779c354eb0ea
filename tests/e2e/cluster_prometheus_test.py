"""The Prometheus of the tests scrapes pods, answers queries and evaluates rules."""

import json
import unittest

from cluster.case import ClusterTestCase
from cluster.pods import pod
from cluster.prometheus import Prometheus, check_rules, scrape

_RULES = json.dumps({"groups": [{"name": "all", "rules": [
    {"alert": "Answered", "expr": "answer == 42", "labels": {"severity": "info"}},
    {"alert": "NotAnswered", "expr": "answer != 42"}]}]})


class ClusterPrometheusTest(ClusterTestCase):
    def test_a_pod_is_scraped_and_rules_are_evaluated(self):
        serve = "mkdir /tmp/w && echo 'answer 42' > /tmp/w/metrics && exec httpd -f -p 9100 -h /tmp/w"
        self.apply(pod("metrics", "sh", "-c", serve))
        running = self.wait_for("pod", "metrics", lambda found: found["status"].get("phase") == "Running", 30, "it runs")
        target = f"{running['status']['podIP']}:9100"
        with Prometheus([scrape("pod", target)], rules=(_RULES,)) as prometheus:
            prometheus.wait_for("answer == 42")
            self.assertEqual(prometheus.value("answer"), 42)
            self.assertEqual(prometheus.targets(), {f"http://{target}/metrics": "up"})
            prometheus.wait_for('ALERTS{alertname="Answered", alertstate="firing"}')
            states = {rule["name"]: (rule["state"], rule["health"]) for rule in prometheus.rules()}
            self.assertEqual(states, {"Answered": ("firing", "ok"), "NotAnswered": ("inactive", "ok")})

    def test_a_mistake_in_a_query_or_a_rule_is_a_failure(self):
        with Prometheus([]) as prometheus, self.assertRaisesRegex(AssertionError, "parse error"):
            prometheus.query("sum by (")
        self.assertIn("2 rules found", check_rules(_RULES))
        with self.assertRaisesRegex(AssertionError, "unknown function"):
            check_rules(_RULES.replace("answer == 42", "nonsense(answer)"))


if __name__ == "__main__":
    unittest.main()
