"""Builds end right when the operator is killed, hands over, is restarted, or hears nothing from its builders."""

import unittest

from image_builds import HOLD
from operator_release import ReleaseTestCase

# Two stages at once, and one after them. Each waits for the test.
_DOCKERFILE = f"""
FROM busybox:1.35 AS left
RUN {HOLD}; echo left > /left
FROM busybox:1.35 AS right
RUN {HOLD}; echo right > /right
FROM busybox:1.35 AS last
COPY --from=left /left /left
COPY --from=right /right /right
RUN {HOLD}; cat /left /right > /both
"""


class OperatorProcessTest(ReleaseTestCase):
    def begin(self) -> dict[str, str]:
        """Starts the build; the pods of its first stages, which run."""
        self.build("app", _DOCKERFILE)
        return {stage: self.wait_running("app", stage) for stage in ("left", "right")}

    def finish(self, pods: dict[str, str]) -> None:
        """Lets the build go on to its good end, which needs nothing done twice."""
        for pod in pods.values():
            self.let_go(pod)
        self.let_go(self.wait_running("app", "last"))
        status = self.wait_ready("app")
        self.assertEqual([(stage["name"], stage["attempts"]) for stage in status["stages"]], [("left", 1), ("right", 1), ("last", 1)])
        self.assertEqual((status["prepare"]["attempts"], status["publish"]["attempts"]), (1, 1))
        self.assert_prints(self.image("app"), "left\nright\n", "cat", "/both")

    def test_a_killed_pod_of_the_leader_is_replaced_and_the_build_ends_right(self):
        self.install()
        pods, leader = self.begin(), self.wait_leader()
        self.operator_kubectl("delete", "pod", leader, "--force", "--grace-period=0")
        self.let_go(pods.pop("left"))  # while nobody leads
        self.wait_leader(other_than=leader)
        self.finish(pods)

    def test_an_operator_that_crashes_mid_build_goes_on_after_its_restart(self):
        self.install(replicas=1)
        pods, leader = self.begin(), self.wait_leader()
        self.kill_operator(leader)
        self.let_go(pods.pop("left"))

        def restarted():
            found = self.cluster.get("pod", leader, self.release_namespace)
            return found["status"]["containerStatuses"][0]["restartCount"] == 1 and self.leads(leader)
        self.cluster.wait_until(restarted, 60, "the operator runs again", self.release_namespace, ("pod", leader))
        self.finish(pods)

    def test_a_leader_that_is_asked_to_stop_hands_over_within_seconds(self):
        self.install()
        pods, leader = self.begin(), self.wait_leader()
        standby = next(pod for pod in self.operator_pods() if pod != leader)
        self.assertFalse(self.leads(standby))
        self.operator_kubectl("delete", "pod", leader, "--wait=false")
        # A Lease that was not given back would be free after 15 seconds.
        self.wait_leader(other_than=leader, seconds=10)
        self.finish(pods)

    def test_a_rollout_during_a_build_loses_nothing(self):
        self.install()
        pods, before = self.begin(), set(self.operator_pods())
        self.operator_kubectl("rollout", "restart", self.deployment)
        self.let_go(pods.pop("left"))
        self.operator_kubectl("rollout", "status", self.deployment, "--timeout=90s")
        self.assertFalse(before & set(self.operator_pods()))
        self.wait_leader()
        self.finish(pods)

    def test_without_reports_builds_end_right_by_the_status_of_their_pods(self):
        self.install(reports={"enabled": False})
        pods = self.begin()
        environment = self.get("pod", pods["left"])["spec"]["containers"][0].get("env", [])
        self.assertNotIn("IMAGEBUILD_REPORT_URL", [variable["name"] for variable in environment])
        self.finish(pods)

    def test_reports_that_never_arrive_do_not_hurt(self):
        self.install(extraArgs=["--report-address=192.0.2.1"])  # an address of nobody
        self.build("app", f"FROM busybox:1.35 AS held\nRUN {HOLD}; echo it > /made\n")
        pod = self.wait_running("app", "held")
        environment = self.get("pod", pod)["spec"]["containers"][0]["env"]
        urls = [variable["value"] for variable in environment if variable["name"] == "IMAGEBUILD_REPORT_URL"]
        self.assertRegex(urls[0], "^http://192.0.2.1:")
        self.let_go(pod)
        self.wait_ready("app", 150)
        self.assert_prints(self.image("app"), "it\n", "cat", "/made")

    def test_without_reports_a_failure_is_told_in_full(self):
        self.install(reports={"enabled": False})
        self.build("broken", "FROM busybox:1.35\nRUN echo before the end; exit 3\n")
        failure = self.wait_failed("broken", "StepFailed")["failure"]
        self.assertEqual((failure["exitCode"], failure["line"]), (3, 2))
        self.assertIn("before the end", failure["logTail"])


if __name__ == "__main__":
    unittest.main()
