"""artifacts.transport Registry: stages on different nodes, and no claim."""

import contextlib

from cluster.cluster import Failure
from operator_case import OperatorTestCase

# Two independent stages, one that needs both, one on top of it, and an image of files alone.
DOCKERFILE = """\
FROM busybox:1.35 AS left
COPY word /word
RUN echo "left $(cat /word)" > /left

FROM busybox:1.35 AS right
RUN echo right > /right

FROM busybox:1.35 AS both
COPY --from=left /left /
COPY --from=right /right /
RUN cat /left /right > /both

FROM both AS more
RUN echo more >> /both

FROM busybox:1.35
COPY --from=more /both /
COPY word /
CMD ["cat", "/both", "/word"]
"""


class OperatorTransportTest(OperatorTestCase):
    def by_registry(self, name: str) -> dict:
        return {"transport": "Registry", "repository": f"{self.cluster.registry}/{self.namespace}/artifacts-of-{name}"}

    def claims(self) -> list[str]:
        return [claim["metadata"]["name"] for claim in self.cluster.list("persistentvolumeclaims", self.namespace)]

    def test_stages_on_two_nodes_share_artifacts_without_a_claim(self):
        one, other = sorted(node["metadata"]["labels"]["kubernetes.io/hostname"] for node in self.cluster.list("nodes"))[:2]
        wanted = {"left": one, "right": other, "both": one, "more": other}
        stages = [{"name": stage, "nodeSelector": {"kubernetes.io/hostname": node}} for stage, node in wanted.items()]
        self.build("spread", DOCKERFILE, {"word": "hello\n"}, stages=stages, artifacts=self.by_registry("spread"))
        status = self.wait_ready("spread", 150)
        nodes = {stage["name"]: stage.get("node") for stage in status["stages"] if stage["name"] in wanted}
        self.assertEqual(nodes, wanted)
        self.assertEqual(self.claims(), [])
        self.assert_prints(self.image("spread"), "left hello\nright\nmore\nhello\n")

    def test_a_stage_that_fails_says_what_it_would_with_a_claim(self):
        self.build("broken", "FROM busybox:1.35\nRUN echo so much for that && exit 7\n", artifacts=self.by_registry("broken"))
        status = self.wait_failed("broken", "StepFailed", 90)
        self.assertEqual(status["failure"]["exitCode"], 7)
        self.assertIn("so much for that", status["failure"]["logTail"])
        self.wait_until_no_pod_runs("broken")

    def test_a_stage_whose_process_is_killed_ends_its_pod(self):
        # imagebuild-stage is process 1 of its container, and its commands are root.
        self.build("killed", "FROM busybox:1.35\nRUN sleep 3600\n", retries=0, artifacts=self.by_registry("killed"))
        pod = self.cluster.wait_until(lambda: next(iter(self.pods("killed", "stage")), None), 60, "the stage's pod", self.namespace)
        name = pod["metadata"]["name"]
        self.wait_for("pod", name, lambda found: found["status"].get("phase") == "Running", 60, "it runs")
        with contextlib.suppress(Failure):  # The container may be gone before kubectl has its answer.
            self.kubectl("exec", name, "--container", "stage", "--", "sh", "-c", "kill -TERM 1; sleep 1; kill -TERM 1")
        self.wait_failed("killed", "RetriesExhausted", 60)
        self.wait_until_no_pod_runs("killed")

    def wait_until_no_pod_runs(self, name: str) -> None:
        def none_runs() -> bool:
            return all(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in self.pods(name))
        self.cluster.wait_until(none_runs, 30, "no pod runs any more", self.namespace)

    def test_credentials_are_not_in_the_stages_container(self):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "type": "kubernetes.io/dockerconfigjson",
                  "stringData": {".dockerconfigjson": '{"auths": {"registry.invalid": {"auth": "dXNlcjp0b3A="}}}'}}
        self.apply(secret)
        self.build("nosy", "FROM busybox:1.35\nRUN ls -R /.imagebuild > /seen; cat /proc/mounts >> /seen; ! ls /imagebuild\n"
                   'CMD ["cat", "/seen"]\n', output={"pushSecretRef": {"name": "login"}}, artifacts=self.by_registry("nosy"))
        self.wait_ready("nosy", 120)
        seen = self.image("nosy").run().stdout
        self.assertIn("/.imagebuild/stages", seen)
        self.assertNotIn("/imagebuild/registry", seen.replace("/.imagebuild", ""))
        self.assertNotIn("config.json", seen)
