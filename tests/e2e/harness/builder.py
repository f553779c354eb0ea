"""Runs one build with the builder under test.

IMAGEBUILD_E2E_BUILDER=buildah puts Buildah in the place of our program: it shows that a failing test is right about
what it wants, and that the stand-in bases and examples are sound.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess

from . import processes

BUILDER = os.environ.get("IMAGEBUILD_E2E_BUILDER", "imagebuild")


@dataclasses.dataclass(frozen=True)
class Built:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def imagebuild_program() -> str:
    """The program under test; ctest names the one it built."""
    chosen = os.environ.get("IMAGEBUILD_BIN")
    if not chosen or not os.access(chosen, os.X_OK):
        raise AssertionError(f"IMAGEBUILD_BIN={chosen!r} is no program: build it first (cmake --build --preset release)")
    return chosen


class Builder:
    """One store, one mirror of docker.io; every build() is one run of the program."""

    def __init__(self, folder: pathlib.Path, mirror: str, docker_config: pathlib.Path | None = None, kind: str = BUILDER):
        self._kind = kind
        self._mirror = mirror
        self._folder = folder
        self.store = folder / "store"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._environment = {key: value for key, value in os.environ.items() if not key.endswith(("_proxy", "_PROXY"))}
        self._environment |= {"TMPDIR": str(self._temporary), "DOCKER_CONFIG": str(docker_config or self._no_credentials()),
                              "CONTAINERS_REGISTRIES_CONF": str(self._registries_conf())}

    def build(self, context, *flags, tag="", timeout=240, input=None, environment=None) -> Built:
        """Builds `context` and, with a tag, pushes it there."""
        if self._kind == "buildah":
            return self._build_with_buildah(context, flags, tag, timeout, environment)
        words = self.command(context, *flags, tag=tag)
        done = subprocess.run(words, input=input or b"", capture_output=True, timeout=timeout,
                              env=self._environment | (environment or {}), preexec_fn=processes.die_with_parent)
        return Built(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def command(self, context, *flags, tag="") -> list[str]:
        tags = ["-t", tag] if tag else []
        return [imagebuild_program(), "build", "--progress", "plain", "--store", str(self.store), "--registry-mirror",
                f"docker.io={self._mirror}", *tags, *map(str, flags), str(context)]

    def events(self, context, *flags, environment=None, timeout=240) -> list[dict]:
        """A build that must succeed, as `--progress json` tells of it."""
        words = ["json" if word == "plain" else word for word in self.command(context, *flags)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              env=self._environment | (environment or {}), preexec_fn=processes.die_with_parent)
        if done.returncode != 0:
            raise AssertionError(f"the build failed:\n{done.stdout}{done.stderr}")
        return [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]

    def start(self, context, *flags, tag="", stdout=subprocess.PIPE) -> subprocess.Popen:
        """The same build, not waited for; what it says comes out of .stdout."""
        return subprocess.Popen(self.command(context, *flags, tag=tag), env=self._environment, stdin=subprocess.DEVNULL,
                                stdout=stdout, stderr=subprocess.STDOUT, preexec_fn=processes.die_with_parent)

    def clear(self) -> None:
        """Removes what builds left in the store; Buildah keeps a mount there."""
        if self._kind == "buildah":
            subprocess.run(["umount", "-l", self._folder / "root/overlay"], stderr=subprocess.DEVNULL)
            shutil.rmtree(self._folder / "root", ignore_errors=True)
            shutil.rmtree(self._folder / "run", ignore_errors=True)
        shutil.rmtree(self.store, ignore_errors=True)

    def _no_credentials(self) -> pathlib.Path:
        """Keeps the credentials of whoever runs the tests out of them."""
        folder = self._folder / "docker-config"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        return folder

    def _registries_conf(self) -> pathlib.Path:
        path = self._folder / "registries.conf"
        path.write_text('unqualified-search-registries = ["docker.io"]\n[[registry]]\nlocation = "docker.io"\n'
                        f'[[registry.mirror]]\nlocation = "{self._mirror.removeprefix("http://")}"\ninsecure = true\n')
        return path

    def _build_with_buildah(self, context, flags, tag, timeout, environment) -> Built:
        buildah = ["buildah", "--root", str(self._folder / "root"), "--runroot", str(self._folder / "run"),
                   "--storage-driver", "overlay"]
        build = [*buildah, "build", "--isolation", "chroot", "--layers", *map(str, flags), "-t", tag or "untagged", str(context)]
        steps = [build] + ([[*buildah, "push", "--quiet", "--tls-verify=false", tag]] if tag else [])
        stdout = stderr = ""
        for step in steps:
            done = subprocess.run(step, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                                  env=self._environment | (environment or {}), preexec_fn=processes.die_with_parent)
            stdout, stderr = stdout + done.stdout, stderr + done.stderr
            if done.returncode != 0:
                return Built(1, stdout, stderr)
        return Built(0, stdout, stderr)
