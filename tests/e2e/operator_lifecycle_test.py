"""What becomes of a build that is changed, cancelled, suspended, deleted, lost or over."""

import unittest

from image_builds import HOLD, HeldBuildsTestCase, stage_of

_HELD = f"FROM busybox:1.35 AS held\nRUN {HOLD}; echo {{}} > /made\n"
_FAILING = "FROM busybox:1.35\nRUN echo it breaks; exit 7\n"


def _source(dockerfile: str) -> dict:
    return {"inline": {"files": {"Dockerfile": dockerfile}}}


class OperatorLifecycleTest(HeldBuildsTestCase):
    def wait_stopped(self, pod: str) -> None:
        """Waits until the pod is being deleted and runs nothing any more; that it is gone may take a kubelet another minute."""
        def stopped():
            found = self.get("pod", pod)
            if found is None:
                return True
            states = [container["state"] for container in found["status"].get("containerStatuses", [])]
            return "deletionTimestamp" in found["metadata"] and not any("running" in state for state in states)
        self.cluster.wait_until(stopped, 60, f"pod {pod} has stopped", self.namespace, ("pod", pod))

    def made(self, name: str) -> str:
        """What the image of the build says at /made."""
        return self.image(name).run("cat", "/made").stdout.strip()

    def test_a_changed_spec_replaces_the_running_build(self):
        self.build("app", "FROM busybox:1.35\nRUN echo first > /made\n")
        first = self.wait_ready("app")["image"]
        self.patch("app", source=_source(_HELD.format("second")))
        overtaken = self.wait_running("app", "held", generation=2)
        self.assertEqual(self.status("app")["image"]["digest"], first["digest"])
        self.patch("app", source=_source("FROM busybox:1.35\nRUN echo third > /made\n"))
        status = self.wait_ready("app")
        self.assertEqual((status["build"]["generation"], status["image"]["generation"], self.made("app")), (3, 3, "third"))
        self.assertEqual([(past["digest"], past["generation"]) for past in status["history"]], [(first["digest"], 1)])
        self.wait_event("app", "BuildSuperseded")
        self.wait_stopped(overtaken)

    def test_a_cancelled_build_ends_and_is_built_anew_when_that_is_taken_back(self):
        self.build("app", _HELD.format("it"))
        pod = self.wait_running("app", "held")
        self.patch("app", cancel=True)
        status = self.wait_failed("app", "Cancelled")
        self.assertEqual((status["phase"], stage_of(status, "held")["phase"]), ("Cancelled", "Cancelled"))
        self.wait_event("app", "BuildCancelled")
        self.wait_stopped(pod)
        self.wait_nothing_left("app")
        self.patch("app", cancel=False)
        self.let_go(self.wait_running("app", "held", generation=3))
        self.wait_ready("app")
        self.assertEqual(self.made("app"), "it")

    def test_a_suspended_build_goes_on_from_where_it_was(self):
        self.build("app", "FROM busybox:1.35 AS early\nRUN echo early > /made\n"
                          f"FROM busybox:1.35 AS late\nCOPY --from=early /made /made\nRUN {HOLD}; echo late >> /made\n")
        pod = self.wait_running("app", "late")
        self.patch("app", suspend=True)
        status = self.wait_phase("app", "Suspended")
        self.assertEqual(stage_of(status, "early")["phase"], "Succeeded")
        self.wait_event("app", "BuildSuspended")
        self.wait_stopped(pod)
        self.assertIn("persistentvolumeclaims", self.objects_of("app"))
        self.patch("app", suspend=False)
        self.let_go(self.wait_running("app", "late", attempt=2))
        status = self.wait_ready("app")
        self.assertEqual([(stage["name"], stage["attempts"]) for stage in status["stages"]], [("early", 1), ("late", 2)])
        self.assertFalse(stage_of(status, "late").get("retries"))  # nothing was lost
        self.wait_event("app", "BuildResumed")
        self.assertEqual(self.made("app"), "early\nlate")

    def test_a_build_that_is_suspended_from_the_start_starts_nothing(self):
        self.build("app", "FROM busybox:1.35\nRUN true\n", suspend=True)
        self.wait_phase("app", "Suspended")
        self.assertEqual(self.objects_of("app"), {})
        self.patch("app", suspend=False)
        self.wait_ready("app")

    def test_a_build_that_is_deleted_midway_leaves_nothing(self):
        self.build("app", _HELD.format("it"))
        self.wait_running("app", "held")
        self.assertEqual(set(self.objects_of("app")), {"pods", "persistentvolumeclaims", "configmaps"})
        self.kubectl("delete", "imagebuild", "app")
        self.wait_nothing_left("app")

    def test_what_a_failed_build_left_is_kept_for_its_ttl(self):
        self.build("app", _FAILING)
        status = self.wait_failed("app", "StepFailed")
        left = self.objects_of("app")
        self.assertEqual(set(left), {"pods", "persistentvolumeclaims", "configmaps"})
        self.assertIn(stage_of(status, "0")["pod"], left["pods"])
        self.patch("app", ttlSecondsAfterFinished=1)
        self.wait_nothing_left("app")
        after = self.wait_failed("app", "StepFailed")  # and no new build began
        self.assertEqual((after["build"], after["completionTime"]), (status["build"], status["completionTime"]))

    def test_a_lost_stage_is_tried_again(self):
        self.build("app", _HELD.format("it"))
        pod = self.wait_running("app", "held")
        self.kubectl("delete", "pod", pod, "--grace-period=1", "--wait=false")
        second = self.wait_running("app", "held", attempt=2)
        self.assertNotEqual(second, pod)
        self.let_go(second)
        stage = stage_of(self.wait_ready("app"), "held")
        self.assertEqual((stage["attempts"], stage["retries"]), (2, 1))
        self.assertIn(pod, self.wait_event("app", "AttemptLost"))
        self.assertEqual(self.made("app"), "it")

    def test_a_stage_that_its_node_evicts_too_often_fails_the_build(self):
        self.build("app", f"FROM busybox:1.35 AS big\nRUN dd if=/dev/zero of=/big bs=1M count=50; {HOLD}\n", retries=1,
                   stageDefaults={"resources": {"limits": {"ephemeral-storage": "5Mi"}}})
        status = self.wait_failed("app", "RetriesExhausted", 150)
        self.assertEqual(status["failure"]["stage"], "big")
        self.assertIn("ephemeral local storage usage exceeds", status["failure"]["message"])
        self.assertEqual(stage_of(status, "big")["attempts"], 2)
        first = f"{stage_of(status, 'big')['pod'].removesuffix('2')}1 was lost: Evicted"
        lost = lambda: [event["note"] for event in self.events("app") if first in event["note"]]  # noqa: E731
        self.cluster.wait_until(lost, 20, "an event tells of the first loss", self.namespace)

    def test_a_command_that_fails_is_not_tried_again(self):
        self.build("app", _FAILING)
        status = self.wait_failed("app", "StepFailed")
        stage, failure = stage_of(status, "0"), status["failure"]
        self.assertEqual((stage["phase"], stage["attempts"], stage.get("retries", 0)), ("Failed", 1, 0))
        self.assertEqual((failure["exitCode"], failure["line"], failure["step"]), (7, 2, "RUN echo it breaks; exit 7"))
        self.assertIn("it breaks", failure["logTail"])
        self.assertEqual(len(self.pods("app", "stage")), 1)

    def test_a_stage_that_takes_too_long_fails_the_build(self):
        self.build("app", _HELD.format("it"), stageTimeout="10s")
        status = self.wait_failed("app", "StageDeadlineExceeded")
        self.assertEqual(status["failure"]["stage"], "held")
        running = lambda: [pod for pod in self.pods("app") if pod["status"]["phase"] == "Running"]  # noqa: E731
        self.cluster.wait_until(lambda: not running(), 60, "nothing of app runs any more", self.namespace)

    def test_a_build_that_takes_too_long_fails(self):
        self.build("app", _HELD.format("it"), timeout="8s")
        status = self.wait_failed("app", "DeadlineExceeded")
        self.assertNotIn("stage", status["failure"])
        running = lambda: [pod for pod in self.pods("app") if pod["status"]["phase"] == "Running"]  # noqa: E731
        self.cluster.wait_until(lambda: not running(), 60, "nothing of app runs any more", self.namespace)


if __name__ == "__main__":
    unittest.main()
