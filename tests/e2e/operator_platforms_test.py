"""Images for several platforms: stages that run something go to a node of their architecture.

A node is labelled as one, and the stand-ins of base images say that they are for it: what runs there is the machine's own
code all the same.
"""

import pathlib
import tempfile
import unittest

import cluster_images
import platform_bases
from harness import processes
from harness.builder import imagebuild_program
from image_builds import stage_of
from operator_release import ReleaseTestCase

_ARCH = "kubernetes.io/arch"
_SHARED = {"volume": {"accessModes": ["ReadWriteMany"]}}
_BOTH = ["linux/amd64", "linux/arm64"]


class OperatorPlatformsTest(ReleaseTestCase):
    def setUp(self):
        super().setUp()
        if len(self.cluster.nodes) < 2:
            self.skipTest("wants a cluster of two nodes")
        self.base = f"{self.cluster.registry}/{self.namespace}/base:1"
        platform_bases.push(self.cluster.registry, self.base, _BOTH, self.folder / "base")
        self.install(own_images={"builder": self.builder_image()})

    def builder_image(self) -> str:
        """The builder's image with a stage program for arm64, which is that of this machine."""
        programs = pathlib.Path(imagebuild_program()).parent
        reference = cluster_images.build_images(self.cluster.registry)["builder"]
        context = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        (context / "Dockerfile").write_text(f"FROM {reference}\nCOPY --chmod=755 imagebuild-stage /usr/local/bin/imagebuild-stage-arm64\n")
        (context / "imagebuild-stage").write_bytes((programs / "imagebuild-stage").read_bytes())
        # Beside the others: the chart has one place for all images.
        repository = f"{self.cluster.registry}/imagebuild/builder-of-{self.namespace}"
        processes.run(imagebuild_program(), "build", "--progress", "plain", "--store", self.folder / "store",
                      "--insecure-registry", self.cluster.registry, "-t", f"{repository}:1", context)
        digest = processes.run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{repository}:1").stdout
        return f"{repository}@{digest.strip()}"

    def make_arm64(self, node: str) -> None:
        """Labels the node as one of arm64 until the test's end."""
        before = self.cluster.get("node", node)["metadata"]["labels"][_ARCH]
        self.addCleanup(self.cluster.kubectl, "label", "--overwrite", "node", node, f"{_ARCH}={before}")
        self.cluster.kubectl("label", "--overwrite", "node", node, f"{_ARCH}=arm64")

    def test_a_stage_waits_for_a_node_of_its_architecture_and_runs_there(self):
        self.build("app", f"FROM --platform=$BUILDPLATFORM {self.base} AS build\nRUN echo built > /built\n"
                   f"FROM {self.base} AS run\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\nCOPY --from=build /built /\n",
                   platforms=_BOTH, artifacts=_SHARED)
        message = self.wait_reason("app", "Unschedulable", 60)
        self.assertIn("stage 'run (linux/arm64)' needs a node with kubernetes.io/arch=arm64: ", message)
        node = self.cluster.nodes[1]
        self.make_arm64(node)
        status = self.wait_ready("app")
        self.assertEqual(stage_of(status, "run (linux/arm64)")["node"], node)
        self.assertEqual(sum(stage["name"].startswith("build") for stage in status["stages"]), 1)
        for architecture in ("amd64", "arm64"):
            found = processes.run("skopeo", "--override-arch", architecture, "inspect", "--config", "--tls-verify=false",
                                  f"docker://{self.repository('app')}:1").stdout
            self.assertIn(f'"architecture":"{architecture}"', found.replace(" ", ""))

    def test_with_a_volume_for_one_node_the_build_goes_where_its_only_architecture_is(self):
        node = self.cluster.nodes[1]
        self.make_arm64(node)
        self.build("app", f"FROM {self.base}\nRUN echo hello > /hello\n", platforms=["linux/arm64"])
        status = self.wait_ready("app")
        self.assertEqual({work["node"] for work in (status["prepare"], status["publish"], *status["stages"])}, {node})

    def test_two_architectures_on_one_node_are_refused_before_any_stage(self):
        self.build("app", f"FROM {self.base}\nRUN true\n", platforms=_BOTH)
        message = self.wait_failed("app", "InvalidInput")["failure"]["message"]
        for word in ("linux/amd64", "linux/arm64", "ReadWriteMany", "Registry"):
            self.assertIn(word, message)

    def test_stages_that_run_nothing_need_no_node_of_their_architecture(self):
        self.build("app", f"FROM {self.base}\nCOPY file /file\n", {"file": "text\n"}, platforms=["linux/arm64"])
        status = self.wait_ready("app")
        self.assertFalse(self.pods("app", "stage"))
        self.assertEqual(status["stageSummary"], "1/1")


if __name__ == "__main__":
    unittest.main()
