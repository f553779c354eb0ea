"""examples/hello: the project's main job, from a Dockerfile to an image that a registry serves and a runtime runs."""

import unittest

from harness.case import EXAMPLES, EndToEndTest


class HelloTest(EndToEndTest):
    def test_runs_after_a_round_trip_through_the_registry(self):
        image = self.build(EXAMPLES / "hello")
        self.assert_prints(image, "Hello, world!\n")
        self.assert_prints(image, "Hello, you!\n", "/hello", "you")

    def test_holds_the_program_and_nothing_else(self):
        image = self.build(EXAMPLES / "hello")
        added = self.added(image)
        self.assertEqual(list(added), ["hello"])
        self.assertEqual((added["hello"].mode & 0o7777, added["hello"].uid, added["hello"].gid), (0o755, 0, 0))
        self.assertEqual((image.config["config"]["Entrypoint"], image.config["config"]["Cmd"]), (["/hello"], ["world"]))
        self.assertEqual((image.config["os"], image.config["architecture"]), ("linux", "amd64"))

    def test_a_failing_test_stage_keeps_the_image_from_being_made(self):
        files = {name: (EXAMPLES / "hello" / name).read_text() for name in ("Dockerfile", "Makefile", "hello.c", "test.sh")}
        files["hello.c"] = files["hello.c"].replace("Hello, %s!", "Goodbye, %s!")
        context = self.context(files)
        (context / "test.sh").chmod(0o755)
        self.assert_fails(self.builder.build(context, tag=self.tag), 1, "test.sh")
        with self.assertRaisesRegex(AssertionError, "manifest unknown|name unknown"):
            self.pull(self.tag)


if __name__ == "__main__":
    unittest.main()
