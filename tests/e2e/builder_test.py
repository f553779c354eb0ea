"""The parts of a build as machinery runs them: imagebuild-builder prepare, imagebuild-stage, imagebuild-builder publish."""

import pathlib
import subprocess
import tarfile
import unittest

from harness.builder import imagebuild_program
from harness.case import EndToEndTest, only_imagebuild


@only_imagebuild
class BuilderTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.volume = self.folder / "volume"
        self.volume.mkdir()

    def run_builder(self, *words) -> subprocess.CompletedProcess:
        program = pathlib.Path(imagebuild_program()).with_name("imagebuild-builder")
        return subprocess.run([program, "--registry-mirror", f"docker.io={self.mirror.url}", *map(str, words)],
                              capture_output=True, text=True, timeout=300)

    def prepare(self, files) -> subprocess.CompletedProcess:
        return self.run_builder("prepare", "--volume", self.volume, self.context(files))

    def publish(self) -> subprocess.CompletedProcess:
        return self.run_builder("publish", "--volume", self.volume, "-t", self.tag)

    FILES = {
        "Dockerfile": "FROM scratch AS files\nCOPY greeting /share/\nFROM busybox:1.35\nWORKDIR /srv\n"
                      "COPY --from=files /share/greeting .\nCMD [\"cat\", \"/srv/greeting\"]\n",
        "greeting": "hello\n", "secret.key": "no", ".dockerignore": "secret.key\n"}

    def test_stages_without_run_need_no_container_between_prepare_and_publish(self):
        prepared = self.prepare(self.FILES)
        self.assertEqual(prepared.returncode, 0, prepared.stderr)
        with tarfile.open(self.volume / "context/context.tar") as context:
            self.assertEqual(context.getnames(), [".dockerignore", "Dockerfile", "greeting"])
        published = self.publish()
        self.assertEqual(published.returncode, 0, published.stderr)
        image = self.pull(self.tag)
        self.assertEqual(published.stdout.strip(), image.digest)
        self.assert_prints(image, "hello\n")

    def test_the_image_is_the_same_as_that_of_imagebuild_build(self):
        self.prepare(self.FILES)
        published = self.publish()
        built = self.builder.build(self.folder / "context", tag=self.tag)
        self.assert_built(built)
        self.assertEqual(self.pull(self.tag).digest, published.stdout.strip())

    def test_nothing_is_published_before_every_stage_has_run(self):
        prepared = self.prepare({"Dockerfile": "FROM busybox:1.35 AS work\nRUN true\n"})
        self.assertEqual(prepared.returncode, 0, prepared.stderr)
        published = self.publish()
        self.assertEqual(published.returncode, 1)
        self.assertIn("stage 'work' has not run", published.stderr)

    def test_a_mistake_in_a_computed_stage_is_located(self):
        prepared = self.prepare({"Dockerfile": "FROM scratch\nCOPY nothing /\n"})
        self.assertEqual(prepared.returncode, 1)
        self.assertIn("Dockerfile:2:1: ", prepared.stderr)


if __name__ == "__main__":
    unittest.main()
