"""Builds a case with imagebuild and with the oracle, Buildah; each has one store for all cases."""

import dataclasses
import os
import pathlib
import shutil
import subprocess

from case_file import Case
from case_folder import EPOCH
from harness import processes
from harness.builder import imagebuild_program
from tree import Layout


@dataclasses.dataclass(frozen=True)
class Outcome:
    image: Layout | None  # None: the build failed
    output: str
    exit_code: int


class Builders:
    def __init__(self, folder: pathlib.Path, mirrors: list):
        self._folder = folder
        self._mirrors = mirrors
        (folder / "docker").mkdir()
        (folder / "docker/config.json").write_text("{}")
        self._registries = folder / "registries.conf"
        text = 'unqualified-search-registries = ["docker.io"]\n[[registry]]\nlocation = "docker.io"\n'
        for mirror in mirrors:
            text += f'[[registry.mirror]]\nlocation = "{mirror.url.removeprefix("http://")}"\ninsecure = true\n'
        self._registries.write_text(text)
        keep = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        self._environment = keep | {"TMPDIR": str(folder), "DOCKER_CONFIG": str(folder / "docker"),
                                    "CONTAINERS_REGISTRIES_CONF": str(self._registries)}

    def close(self) -> None:
        """Buildah leaves a mount in its store."""
        subprocess.run(["umount", "-l", self._folder / "root/overlay"], stderr=subprocess.DEVNULL)

    def imagebuild(self, case: Case, folder: pathlib.Path, *more: str, into: str = "ours", store: pathlib.Path | None = None) -> Outcome:
        mirrors = [f"--registry-mirror=docker.io={mirror.url}" for mirror in self._mirrors]
        target = folder / into
        progress = [] if "--progress" in more else ["--progress", "plain"]
        command = [imagebuild_program(), "build", *progress, "--store", str(store or self._folder / "store"), *mirrors, *more,
                   "--output", f"type=oci,dest={target}", *_shared(case, folder), *_words(case.own_flags, folder), "context"]
        done = self._run(command, folder, case.environment | {"SOURCE_DATE_EPOCH": str(EPOCH)})
        if done.returncode != 0:
            return Outcome(None, done.stdout, done.returncode)
        return Outcome(Layout(target), done.stdout, 0)

    def buildah(self, case: Case, folder: pathlib.Path) -> Outcome:
        buildah = ["buildah", "--root", str(self._folder / "root"), "--runroot", str(self._folder / "run"), "--storage-driver", "overlay"]
        name = f"conformance/{folder.name}"
        build = [*buildah, "build", "--isolation", "chroot", "--layers", "--identity-label=false", "--cap-add", "CAP_MKNOD",
                 "--no-cache", *_shared(case, folder), *_words(case.oracle_flags, folder), "-t", name, "context"]
        done = self._run(build, folder, case.environment)
        if done.returncode == 0:
            done = self._run([*buildah, "push", "--quiet", name, f"oci:{folder}/theirs:image"], folder, {})
        if done.returncode != 0:
            return Outcome(None, done.stdout, done.returncode)
        return Outcome(Layout(folder / "theirs"), done.stdout, 0)

    def _run(self, command: list[str], folder: pathlib.Path, more: dict[str, str]) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=120, env=self._environment | more,
                              preexec_fn=processes.die_with_parent)


def buildah_is_installed() -> bool:
    return shutil.which("buildah") is not None


def _shared(case: Case, folder: pathlib.Path) -> list[str]:
    words = [word for argument in case.build_args for word in ("--build-arg", argument)]
    if case.target:
        words += ["--target", case.target]
    if case.dockerfile_path != "context/Dockerfile":
        words += ["--file", str(folder / case.dockerfile_path)]
    return words + _words(case.flags, folder)


def _words(flags: list[str], folder: pathlib.Path) -> list[str]:
    """`secret id=a,src=@/token` of a case is --secret id=a,src=FOLDER/token: @/ is the case's folder."""
    words = []
    for flag in flags:
        name, _, value = flag.partition(" ")
        words += [f"--{name}"] + ([value.strip().replace("@/", f"{folder}/")] if value else [])
    return words
