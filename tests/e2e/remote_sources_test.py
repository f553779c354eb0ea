"""ADD from servers: downloads and Git repositories."""

import hashlib
import io
import tarfile
import unittest

from harness.case import EndToEndTest, only_imagebuild
from source_server import SourceServer, git


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar_gz(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@only_imagebuild
class RemoteSourcesTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.served = self.folder / "served"
        self.served.mkdir()
        self.server = SourceServer("127.0.0.1", self.served)
        self.addCleanup(self.server.close)

    def dockerfile(self, *lines: str):
        return self.context({"Dockerfile": "\n".join(lines) + "\n"})

    def repository(self) -> str:
        """Serves app.git: main with two commits, the first tagged v1. Returns the first commit."""
        work = self.folder / "work"
        (work / "docs").mkdir(parents=True)
        git(work, "init", "-q")
        (work / "docs" / "a.txt").write_text("one\n")
        (work / "run.sh").write_text("#!/bin/sh\n")
        (work / "run.sh").chmod(0o755)
        git(work, "add", ".")
        git(work, "commit", "-q", "-m", "first")
        git(work, "tag", "v1")
        first = git(work, "rev-parse", "HEAD")
        (work / "docs" / "a.txt").write_text("two\n")
        git(work, "commit", "-q", "-a", "-m", "second")
        git(work, "clone", "-q", "--bare", work, self.served / "app.git")
        return first

    def test_a_download_keeps_its_name_and_is_private(self):
        (self.served / "tool.bin").write_bytes(b"tool")
        image = self.build(self.dockerfile("FROM scratch", f"ADD {self.server.url}/tool.bin?x=1 /opt/",
                                           f"ADD --checksum={digest(b'tool')} --chmod=755 {self.server.url}/tool.bin /bin/tool"))
        added = self.added(image)
        self.assertEqual({path: entry.mode for path, entry in added.items() if entry.isfile()},
                         {"opt/tool.bin": 0o600, "bin/tool": 0o755})

    def test_a_downloaded_archive_is_unpacked_only_when_asked(self):
        (self.served / "app.tar.gz").write_bytes(tar_gz({"app/main.c": "int\n"}))
        image = self.build(self.dockerfile("FROM scratch", f"ADD {self.server.url}/app.tar.gz /packed/",
                                           f"ADD --unpack=true {self.server.url}/app.tar.gz /unpacked/"))
        self.assertEqual({path for path, entry in self.added(image).items() if entry.isfile()},
                         {"packed/app.tar.gz", "unpacked/app/main.c"})

    def test_another_checksum_fails_at_its_line(self):
        (self.served / "tool.bin").write_bytes(b"other")
        built = self.builder.build(self.dockerfile("FROM scratch", f"ADD --checksum={digest(b'tool')} {self.server.url}/tool.bin /"))
        self.assert_fails(built, 1, "Dockerfile:2", "as it should", digest(b"other").removeprefix("sha256:"))

    def test_a_missing_file_fails_at_its_line(self):
        built = self.builder.build(self.dockerfile("FROM scratch", "", f"ADD {self.server.url}/none /"))
        self.assert_fails(built, 1, "Dockerfile:3", "404")

    def test_a_download_that_changed_is_built_anew(self):
        context = self.dockerfile("FROM scratch", f"ADD {self.server.url}/tool.bin /")
        (self.served / "tool.bin").write_bytes(b"one")
        first = self.build(context)
        self.assertEqual(self.build(context).digest, first.digest)
        (self.served / "tool.bin").write_bytes(b"two")
        self.assertNotEqual(self.build(context).digest, first.digest)

    def test_a_repository(self):
        first = self.repository()
        image = self.build(self.dockerfile(
            "FROM scratch", f"ADD {self.server.url}/app.git /main/", f"ADD --checksum={first} {self.server.url}/app.git#v1:docs /docs/",
            f"ADD {self.server.url}/app.git?tag=v1&subdir=docs /query/"))
        files = {path: entry.mode for path, entry in self.added(image).items() if entry.isfile()}
        self.assertEqual(files, {"main/docs/a.txt": 0o644, "main/run.sh": 0o755, "docs/a.txt": 0o644, "query/a.txt": 0o644})

    def test_a_kept_git_folder_is_the_same_each_time(self):
        self.repository()
        context = self.dockerfile("FROM scratch", f"ADD --keep-git-dir=true {self.server.git_url}/app.git#v1 /app/")
        image = self.build(context)
        self.assertIn("app/.git/HEAD", self.added(image))
        self.builder = self.make_builder("other")
        self.assertEqual(self.build(context).digest, image.digest)

    def test_another_commit_fails_at_its_line(self):
        first = self.repository()
        built = self.builder.build(self.dockerfile("FROM scratch", f"ADD --checksum={first} {self.server.url}/app.git#main /"))
        self.assert_fails(built, 1, "Dockerfile:2", "is the commit")


if __name__ == "__main__":
    unittest.main()
