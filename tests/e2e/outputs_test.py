"""Where a build leaves its image, and what it says about it; read back by skopeo."""

import json
import unittest

from harness import processes
from harness.case import EndToEndTest, only_imagebuild
from harness.registry import Registry


@only_imagebuild
class OutputsTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.source = self.context({"Dockerfile": "FROM busybox:1.35\nLABEL a=b\nRUN echo fine > /state\n"})

    def assert_output(self, kind, dest, source):
        self.assert_built(self.builder.build(self.source, "--output", f"type={kind},dest={dest}", "-t", "team/app:1"))
        image = self.read(source)
        self.assert_prints(image, "fine\n", "cat", "/state")
        self.assertEqual(image.config["config"]["Labels"], {"a": "b"})

    def test_an_oci_layout(self):
        self.assert_output("oci", self.folder / "layout", f"oci:{self.folder}/layout")

    def test_an_oci_archive(self):
        self.assert_output("oci-archive", self.folder / "image.tar", f"oci-archive:{self.folder}/image.tar")

    def test_a_docker_archive(self):
        self.assert_output("docker-archive", self.folder / "image.tar", f"docker-archive:{self.folder}/image.tar")

    def test_several_outputs_of_one_build_are_the_same_image(self):
        layout = self.folder / "layout"
        self.assert_built(self.builder.build(self.source, "--output", f"type=oci,dest={layout}", "--output", "type=registry",
                                             tag=self.tag))
        self.assertEqual(self.read(f"oci:{layout}").digest, self.pull(self.tag).digest)

    def test_every_tag_is_pushed(self):
        other = f"{self.registry.host}/other/name:2"
        self.assert_built(self.builder.build(self.source, "-t", other, tag=self.tag))
        self.assertEqual(self.pull(other).digest, self.pull(self.tag).digest)

    def test_a_base_of_the_same_registry_is_mounted_not_sent(self):
        with Registry(readonly=False) as registry:
            base = f"{registry.host}/bases/busybox:1"
            self.copy_base(base)
            context = self.context({"Dockerfile": f"FROM {base}\nRUN echo fine > /state\n"}, name="same")
            self.assert_built(self.builder.build(context, tag=f"{registry.host}/team/app:1"))
            self.assert_prints(self.pull(f"{registry.host}/team/app:1"), "fine\n", "cat", "/state")

    def copy_base(self, target):
        processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false",
                      f"docker://{self.mirror.host}/library/busybox:1.35", f"docker://{target}")

    def test_the_id_file_holds_the_images_id(self):
        id_file = self.folder / "id"
        image = self.build(self.source, "--iidfile", id_file)
        self.assertIn(id_file.read_text().strip(), (image.digest, image.config_digest))

    def test_the_metadata_file_holds_the_digest_that_was_pushed(self):
        metadata = self.folder / "metadata.json"
        image = self.build(self.source, "--metadata-file", metadata)
        self.assertEqual(json.loads(metadata.read_text())["containerimage.digest"], image.digest)

    def test_an_existing_output_is_replaced_whole(self):
        target = self.folder / "image.tar"
        target.write_text("what was there before\n")
        self.assert_output("oci-archive", target, f"oci-archive:{target}")

    def test_a_failed_build_leaves_no_output(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN false\n"}, name="failing")
        target = self.folder / "out"
        target.mkdir()
        built = self.builder.build(context, "--output", f"type=oci,dest={target}/layout", "--output",
                                   f"type=docker-archive,dest={target}/image.tar", "--iidfile", target / "id")
        self.assert_fails(built, 1)
        self.assertEqual(list(target.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
