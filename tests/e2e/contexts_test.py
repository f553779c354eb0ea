"""Where a context may come from: a folder, a tar, a compressed tar, standard input; each gives the same image."""

import gzip
import unittest

from harness.case import EndToEndTest, only_imagebuild
from harness.image import tar_of

FILES = {"Dockerfile": "FROM busybox:1.35\nCOPY . /app\n", "hello.txt": "hello\n", "skip.log": "no\n", ".dockerignore": "*.log\nDockerfile\n.dockerignore\n"}


class ContextsTest(EndToEndTest):
    def assert_has_the_context(self, image):
        self.assertEqual(set(self.added(image, "busybox:1.35")), {"app/hello.txt"})
        self.assert_prints(image, "hello\n", "cat", "/app/hello.txt")

    def test_a_folder(self):
        self.assert_has_the_context(self.build(self.context(FILES)))

    @only_imagebuild
    def test_a_tar(self):
        archive = self.folder / "context.tar"
        archive.write_bytes(tar_of(FILES))
        self.assert_has_the_context(self.build(archive))

    @only_imagebuild
    def test_a_compressed_tar(self):
        archive = self.folder / "context.tar.gz"
        archive.write_bytes(gzip.compress(tar_of(FILES)))
        self.assert_has_the_context(self.build(archive))

    @only_imagebuild
    def test_a_tar_from_standard_input(self):
        self.assert_has_the_context(self.build("-", input=tar_of(FILES)))

    @only_imagebuild
    def test_a_compressed_tar_from_standard_input(self):
        self.assert_has_the_context(self.build("-", input=gzip.compress(tar_of(FILES))))

    @only_imagebuild
    def test_a_broken_tar_is_an_error(self):
        built = self.builder.build("-", input=tar_of(FILES)[:700])
        self.assertIn(built.exit_code, (1, 2), built.output)


if __name__ == "__main__":
    unittest.main()
