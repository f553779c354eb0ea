"""The same sources give the same image, whoever builds them and when."""

import unittest

from harness.case import EXAMPLES, EndToEndTest, only_imagebuild


@only_imagebuild
class ReproducibleTest(EndToEndTest):
    def build_elsewhere(self, context, name):
        """A build by another builder, with another store."""
        tag = f"{self.registry.host}/{name}/app:1"
        self.assert_built(self.make_builder(name).build(context, tag=tag))
        return self.pull(tag)

    def test_two_builders_make_the_same_digest(self):
        self.assertEqual(self.build(EXAMPLES / "hello").digest, self.build_elsewhere(EXAMPLES / "hello", "second").digest)

    def test_steps_that_write_files_make_the_same_digest(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nCOPY . /app\nRUN mkdir -p /out/a && date > /dev/null && echo 1 > /out/a/b "
                                              "&& ln -s b /out/a/c && ln /out/a/b /out/d && rm /etc/group\n", "x/y": "z\n"})
        self.assertEqual(self.build(context).digest, self.build_elsewhere(context, "second").digest)

    def test_a_second_build_changes_nothing_and_runs_nothing(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN cat /proc/sys/kernel/random/uuid > /once\n"})
        first = self.build(context).digest
        self.assertEqual(self.build(context).digest, first)
        self.assertNotEqual(self.build(context, "--no-cache").digest, first)


if __name__ == "__main__":
    unittest.main()
