"""The test case that every end-to-end test derives from."""

import os
import pathlib
import shutil
import tarfile
import tempfile
import unittest

import bases

from . import processes
from .builder import BUILDER, Builder, Built
from .image import Image
from .registry import Registry

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples"


_BUILDAH_LEAVES = {"run", "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys", "dev"}


def only_imagebuild(test):
    """For behaviour that the stand-in builder does not share."""
    return unittest.skipIf(BUILDER != "imagebuild", "says something about imagebuild only")(test)


def mounts_below(folder: pathlib.Path) -> list[str]:
    """The mount points below a folder, outer ones first."""
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted(point for point in points if point.startswith(f"{folder}/"))


class EndToEndTest(unittest.TestCase):
    """Gives each test a folder, an empty registry, a mirror with the bases, and a builder with an empty store."""

    def setUp(self):
        if os.geteuid() != 0:
            if os.environ.get("CI") == "true":
                self.fail("needs root: containers, mounts and base images are made")
            self.skipTest("needs root: containers, mounts and base images are made")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="imagebuild-e2e-"))
        self.addCleanup(self._remove_folder)
        self.mirror = bases.mirror()
        self.addCleanup(self.mirror.close)
        self.registry = Registry()
        self.addCleanup(self.registry.close)
        self.builder = self.make_builder("builder")
        self.tag = f"{self.registry.host}/team/app:1"

    def _remove_folder(self) -> None:
        mounts = mounts_below(self.folder)
        for path in reversed(mounts):
            processes.run("umount", "--lazy", path)
        shutil.rmtree(self.folder)
        self.assertEqual(mounts, [], "the builds of this test left mounts")

    def make_builder(self, name: str, **kwargs) -> Builder:
        folder = self.folder / name
        folder.mkdir()
        builder = Builder(folder, self.mirror.url, **kwargs)
        self.addCleanup(builder.clear)
        return builder

    def context(self, files: dict[str, str], name="context") -> pathlib.Path:
        """A folder with these files."""
        folder = self.folder / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def assert_built(self, built: Built) -> None:
        self.assertEqual(built.exit_code, 0, f"the build failed:\n{built.output}")

    def assert_fails(self, built: Built, exit_code: int, *words: str) -> None:
        self.assertEqual(built.exit_code, exit_code, built.output)
        for word in words:
            self.assertIn(word, built.output)

    def build(self, context, *flags, **kwargs) -> Image:
        """Builds, pushes, and reads back what was pushed."""
        self.assert_built(self.builder.build(context, *flags, tag=self.tag, **kwargs))
        return self.pull(self.tag)

    def pull(self, reference: str) -> Image:
        return self.read(f"docker://{reference}")

    def base(self, name: str) -> Image:
        return self.read(f"docker://{self.mirror.host}/library/{name}")

    def read(self, source: str) -> Image:
        return Image(source, pathlib.Path(tempfile.mkdtemp(dir=self.folder, prefix="image-")))

    def added(self, image: Image, base: str = "") -> dict[str, tarfile.TarInfo]:
        """What the image has on top of its base (of the mirror; none: scratch), as Image.added_to() says it."""
        added = image.added_to(self.base(base) if base else None)
        if BUILDER == "buildah":  # leaves its mount points in the image; ours must not
            added = {path: entry for path, entry in added.items() if path not in _BUILDAH_LEAVES}
        return added

    def assert_prints(self, image: Image, expected: str, *command: str, **kwargs) -> None:
        done = image.run(*command, **kwargs)
        self.assertEqual((done.returncode, done.stdout), (0, expected), done.stderr)
