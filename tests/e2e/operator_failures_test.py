"""What an ImageBuild says when something is wrong: what, where, and within seconds; and that it goes on when it heals."""

import json
import time
import unittest

from cluster.cluster import Failure
from harness import processes
from operator_case import OperatorTestCase

# Only with a volume of this kind may prepare run elsewhere than a stage.
_FOR_MANY_NODES = {"volume": {"accessModes": ["ReadWriteMany"]}}
_FROM_BUSYBOX = "FROM busybox:1.35\nRUN true\n"


class OperatorFailuresTest(OperatorTestCase):
    def wait_said(self, name: str, reason: str, *words: str) -> None:
        """The build goes on, and within seconds says with these words what it waits for."""
        begin = time.monotonic()
        message = self.wait_reason(name, reason)
        self.assertLess(time.monotonic() - begin, 25)
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(self.condition(name, "Ready")["status"], "Unknown")

    def assert_refused(self, name: str, *words: str) -> None:
        """The spec is refused with these words, and nothing was started."""
        message = self.message_of_failure(name, "InvalidSpec")
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(self.pods(name), [])
        mine = "app.kubernetes.io/managed-by=imagebuild"
        self.assertEqual(self.cluster.list("persistentvolumeclaims,configmaps", self.namespace, mine), [])

    def message_of_failure(self, name: str, reason: str) -> str:
        self.wait_failed(name, reason)
        return self.condition(name, "Ready")["message"]

    def test_a_command_that_fails_is_shown_with_its_last_words(self):
        self.build("app", "FROM busybox:1.35 AS first\nRUN true\nFROM busybox:1.35 AS second\nCOPY --from=first /etc/passwd /p\n"
                          "RUN for i in $(seq 300); do echo line $i; done; \\\n    echo the end is near >&2; exit 7\n"
                          "FROM second\nRUN true\n")
        status = self.wait_failed("app", "StepFailed")
        failure = status["failure"]
        self.assertEqual((failure["stage"], failure["line"], failure["exitCode"], failure["reason"]), ("second", 5, 7, "StepFailed"))
        self.assertTrue(failure["step"].startswith("RUN for i in"), failure["step"])
        self.assertEqual(failure["logTail"][-2:], ["line 300", "the end is near"])
        self.assertEqual([stage["phase"] for stage in status["stages"]], ["Succeeded", "Failed", "Waiting"])
        self.assertEqual((status["phase"], status["stageSummary"]), ("Failed", "1/3"))
        self.assertNotIn("image", status)
        self.cluster.wait_until(lambda: {"StageFailed", "BuildFailed"} <= {event["reason"] for event in self.events("app")}, 10,
                                "there are events", self.namespace)
        # It is there to be looked into, and it was not tried again.
        self.cluster.wait_until(lambda: len(self.pods("app", "stage")) == 2, 60, "those that only waited are gone", self.namespace)
        pod = status["stages"][1]["pod"]
        self.cluster.wait_for_pod_end(pod, self.namespace)
        self.assertIn("the end is near", self.kubectl("logs", pod))
        self.assertEqual(status["stages"][1]["attempts"], 1)

    def test_a_new_spec_after_a_failure_is_built(self):
        self.build("app", "FROM busybox:1.35\nRUN exit 1\n")
        self.wait_failed("app", "StepFailed")
        self.build("app", "FROM busybox:1.35\nRUN echo better > /state\n")
        self.assertNotIn("failure", self.wait_ready("app"))
        self.assert_prints(self.image("app"), "better\n", "cat", "/state")
        self.assertEqual(self.condition("app", "Stalled"), {})

    def test_a_mistake_in_the_dockerfile_has_its_place(self):
        self.build("app", "FROM busybox:1.35\nRUN true\nCOPPY a b\n")
        self.assertRegex(self.message_of_failure("app", "InvalidInput"), r"Dockerfile:3(:1)?: .*COPPY")
        self.assertEqual(self.status("app")["failure"]["line"], 3)

    def test_a_file_that_is_not_there_has_its_place(self):
        self.build("app", "FROM busybox:1.35\nCOPY missing /\n")
        self.assertRegex(self.message_of_failure("app", "NotFound"), r"Dockerfile:2(:\d+)?: .*missing")

    def test_a_dockerfile_that_is_not_there_is_named(self):
        self.build("app", None, {"page": "text\n"}, dockerfile="docker/app")
        self.assertIn("docker/app", self.message_of_failure("app", "NotFound"))

    def test_a_base_that_does_not_exist_is_named(self):
        self.build("app", f"FROM busybox:1.35\nRUN true\nFROM {self.repository('none')}:7\n")
        self.assertRegex(self.message_of_failure("app", "NotFound"), rf"Dockerfile:3(:\d+)?: .*{self.namespace}/none:7")

    def test_a_required_secret_that_was_not_given_is_named(self):
        self.build("app", "FROM busybox:1.35\nRUN --mount=type=secret,id=token,required=true true\n")
        failure = self.wait_failed("app", "NotFound")["failure"]
        self.assertEqual((failure["stage"], failure["line"]), ("0", 2))
        self.assertIn("'token'", failure["message"])

    def test_a_spec_that_is_wrong_starts_nothing(self):
        self.build("output", _FROM_BUSYBOX, output={"image": "registry.example/UPPER:1"})
        self.build("source", None, source={"inline": {"files": {"Dockerfile": _FROM_BUSYBOX}}, "configMapRef": {"name": "x"}})
        self.build("timeout", _FROM_BUSYBOX, timeout="1ms")
        self.build("both", _FROM_BUSYBOX, dockerfile="Dockerfile", dockerfileInline=_FROM_BUSYBOX)
        self.assert_refused("output", "spec.output.image", "registry.example/UPPER")
        self.assert_refused("source", "spec.source", "exactly one of")
        self.assert_refused("timeout", "spec.timeout")
        self.assert_refused("both", "spec.dockerfileInline")
        # Put right, it is built.
        self.patch("output", output={"image": f"{self.repository('output')}:1"})
        self.wait_ready("output")

    def test_what_the_schema_knows_to_be_wrong_is_refused_at_once(self):
        for field, spec in {"spec.output.compression": {"output": {"compression": "rar"}}, "spec.retries": {"retries": -1},
                            "spec.artifacts.transport": {"artifacts": {"transport": "Pigeon"}}}.items():
            with self.assertRaisesRegex(Failure, field):
                self.build("app", _FROM_BUSYBOX, **spec)
        self.assertIsNone(self.get("imagebuild", "app"))

    def test_it_goes_on_when_a_missing_secret_is_made(self):
        self.build("app", "FROM busybox:1.35\nRUN --mount=type=secret,id=a cat /run/secrets/a > /state\n",
                   secrets=[{"id": "a", "secretKeyRef": {"name": "tokens", "key": "one"}}])
        self.wait_said("app", "MissingSecret", "tokens")
        self.kubectl("create", "secret", "generic", "tokens", "--from-literal=other=x")
        self.cluster.wait_until(lambda: "one" in self.condition("app", "Ready")["message"], 30, "the key is named", self.namespace)
        self.assertEqual(self.condition("app", "Ready")["reason"], "MissingSecret")
        self.kubectl("patch", "secret", "tokens", "--patch", json.dumps({"stringData": {"one": "public"}}))
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "public", "cat", "/state")

    def test_it_goes_on_when_a_missing_config_map_is_made(self):
        self.build("app", "FROM busybox:1.35\nARG V\nRUN echo $V > /state\n",
                   buildArgs=[{"name": "V", "valueFrom": {"configMapKeyRef": {"name": "versions", "key": "app"}}}])
        self.wait_said("app", "MissingConfigMap", "versions")
        self.kubectl("create", "configmap", "versions", "--from-literal=app=3")
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "3\n", "cat", "/state")

    def test_it_goes_on_when_a_missing_storage_class_is_made(self):
        name = f"class-of-{self.namespace}"
        self.build("app", _FROM_BUSYBOX, artifacts={"volume": {"storageClassName": name}})
        self.wait_said("app", "MissingStorageClass", name)
        classes = self.cluster.list("storageclass")
        if not classes:
            self.skipTest("the cluster has no StorageClass to make one like")
        self.addCleanup(self.cluster.kubectl, "delete", "storageclass", name, "--ignore-not-found")
        self.cluster.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": classes[0]["provisioner"],
                            "metadata": {"name": name}})
        self.wait_ready("app")

    def test_it_goes_on_when_a_quota_is_lifted(self):
        self.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
        self.wait_for("resourcequota", "none", lambda found: found.get("status", {}).get("hard"), 30, "the quota is in force")
        self.build("app", _FROM_BUSYBOX)
        self.wait_said("app", "Quota", "none")
        self.kubectl("delete", "resourcequota", "none")
        self.wait_ready("app")

    def test_it_goes_on_when_a_node_fits(self):
        key = f"e2e.imagebuild.dev/{self.namespace}"
        self.build("app", "FROM busybox:1.35 AS picky\nRUN true\n", stages=[{"name": "picky", "nodeSelector": {key: "here"}}],
                   artifacts=_FOR_MANY_NODES)
        self.wait_said("app", "Unschedulable", "didn't match")
        self.assertEqual(self.status("app")["stages"][0]["reason"], "Unschedulable")
        self.make_nodes_fit(key)
        self.wait_ready("app")

    def test_it_waits_for_a_node_longer_than_it_may_take(self):
        key = f"e2e.imagebuild.dev/{self.namespace}"
        for name in ("app", "given-up"):
            self.build(name, "FROM busybox:1.35 AS picky\nRUN true\n", stages=[{"name": "picky", "nodeSelector": {key: "here"}}],
                       artifacts=_FOR_MANY_NODES, timeout="40s", stageTimeout="30s")
        for name in ("app", "given-up"):
            self.wait_reason(name, "Unschedulable")
            self.wait_for("imagebuild", name, lambda found: "waitingSince" in found["status"], 30, f"{name} says since when it waits")
        time.sleep(42)
        self.patch("given-up", cancel=True)
        self.wait_failed("given-up", "Cancelled")
        self.make_nodes_fit(key)
        self.wait_ready("app")
        self.assertRegex(self.status("app")["waited"], r"^(4[2-9]|5\d)s$|^\d+m\d+s$")

    def make_nodes_fit(self, key: str) -> None:
        for node in self.cluster.nodes:
            self.addCleanup(self.cluster.kubectl, "label", "node", node, f"{key}-")
            self.cluster.kubectl("label", "node", node, f"{key}=here")

    def test_it_goes_on_when_an_image_can_be_pulled_again(self):
        key = f"e2e.imagebuild.dev/{self.namespace}"
        base, copy = f"{self.repository('base')}:1", f"oci:{self.folder}/base:1"
        self.build("base", "FROM busybox:1.35\nRUN cat /proc/sys/kernel/random/uuid > /id\n")
        self.wait_ready("base")
        processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{base}", copy)
        # It is known to exist, but gone before a node wants it.
        self.build("app", f"FROM {base}\nRUN test -s /id\n", stages=[{"name": "0", "nodeSelector": {key: "here"}}],
                   artifacts=_FOR_MANY_NODES)
        self.wait_reason("app", "Unschedulable")
        processes.run("skopeo", "delete", "--tls-verify=false", f"docker://{base}")
        self.make_nodes_fit(key)
        self.wait_said("app", "ImagePull", self.repository("base"))
        processes.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", copy, f"docker://{base}")
        self.wait_ready("app")

    def test_a_build_that_takes_too_long_ends(self):
        self.build("whole", "FROM busybox:1.35\nRUN sleep 3600\n", timeout="6s")
        self.build("stage", "FROM busybox:1.35 AS slow\nRUN sleep 3600\n", stageTimeout="6s")
        self.assertIn("6s", self.message_of_failure("whole", "DeadlineExceeded"))
        self.assertIn("slow", self.message_of_failure("stage", "StageDeadlineExceeded"))
        active = lambda: [pod for name in ("whole", "stage") for pod in self.pods(name)
                          if pod["status"].get("phase") in ("Pending", "Running")]
        self.cluster.wait_until(lambda: not active(), 60, "nothing of them runs", self.namespace)

    def test_memory_over_the_limit_is_named(self):
        self.build("app", "FROM busybox:1.35 AS hungry\nRUN x=$(tr '\\0' x < /dev/zero)\n",
                   stages=[{"name": "hungry", "resources": {"limits": {"memory": "48Mi"}}}])
        failure = self.wait_failed("app", "OutOfMemory")["failure"]
        self.assertEqual(failure["stage"], "hungry")

    def test_a_registry_that_cannot_be_reached_is_tried_again_and_then_named(self):
        self.build("app", "FROM busybox:1.35\n", output={"image": "127.0.0.1:9/app:1"}, retries=0)
        self.wait_failed("app", "RetriesExhausted")
        self.assertIn("127.0.0.1:9", self.condition("app", "Ready")["message"])


if __name__ == "__main__":
    unittest.main()
