"""The images that run in a cluster, as imagebuild builds them: small, and each of their programs works."""

import pathlib
import tempfile
import unittest

from cluster.case import ClusterTestCase
from cluster.pods import pod
from cluster_images import PROGRAMS, build_images
from harness.image import Image

_FOLDER = {"operator": "/usr/local/bin", "builder": "/usr/local/bin", "stage": "/.imagebuild/bin"}

_A_REPOSITORY_WITH_A_SUBMODULE = r"""
set -e
export HOME=/tmp
git config --global user.name tester && git config --global user.email tester@localhost
git config --global protocol.file.allow always
git init -q /tmp/part && cd /tmp/part && echo works > file && git add file && git commit -q -m part
git init -q /tmp/whole && cd /tmp/whole && git submodule --quiet add /tmp/part part && git commit -q -m whole
git clone -q --depth 1 file:///tmp/whole /tmp/clone && cd /tmp/clone
git submodule --quiet update --init --recursive && cat part/file
"""


class ImagesTest(ClusterTestCase):
    def setUp(self):
        super().setUp()
        self.images = build_images(self.cluster.registry)
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="imagebuild-e2e-")))

    def read(self, name: str) -> Image:
        return Image(f"docker://{self.images[name]}", self.folder / name)

    def size_of(self, name: str) -> int:
        return sum(layer["size"] for layer in self.read(name).manifest["layers"])

    def assert_answers(self, image: Image, expected: str, *command: str) -> None:
        done = image.run(*command)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        self.assertRegex(done.stdout + done.stderr, expected)

    def test_every_program_answers_in_its_image(self):
        for name, programs in PROGRAMS.items():
            image = self.read(name)
            self.assertEqual(image.config["config"]["Entrypoint"], [f"{_FOLDER[name]}/{programs[0]}"])
            for program in programs:
                self.assert_answers(image, r"\d+\.\d+\.\d+", f"{_FOLDER[name]}/{program}", "--version")

    def test_the_builder_has_git_and_ssh(self):
        builder = self.read("builder")
        self.assert_answers(builder, "^works\n$", "sh", "-c", _A_REPOSITORY_WITH_A_SUBMODULE)
        self.assert_answers(builder, "OpenSSH", "ssh", "-V")
        for url, refusal in (("https://127.0.0.1:1/x", "(?i)connect"), ("ssh://127.0.0.1:1/x", "Connection refused")):
            self.assert_answers(builder, refusal, "sh", "-c", f"git ls-remote {url} || true")

    def test_the_images_are_small(self):
        self.assertLess(self.size_of("operator"), 40e6)
        self.assertLess(self.size_of("builder"), 60e6)
        self.assertEqual([path for path in self.read("stage").added_to(None)], [".imagebuild/bin/imagebuild-stage"])

    def test_the_operator_runs_as_nobody_on_a_read_only_root(self):
        operator = self.read("operator")
        self.assertEqual(operator.config["config"]["User"], "65532:65532")
        self.assertNotIn("bin/sh", operator.added_to(None))
        made = pod("version", "/usr/local/bin/imagebuild-operator", "--version", image=self.images["operator"])
        made["spec"]["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        made["spec"]["containers"][0]["securityContext"] = {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        self.apply(made)
        ended = self.cluster.wait_for_pod_end("version", self.namespace)
        self.assertEqual(ended["status"]["phase"], "Succeeded", self.kubectl("logs", "version"))


if __name__ == "__main__":
    unittest.main()
