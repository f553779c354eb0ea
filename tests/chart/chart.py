"""What the tests of the chart share: where things are, and helm."""

import functools
import pathlib
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
CHART = TOP / "charts/imagebuild"
REGISTRY = "--set=images.registry=registry.example/imagebuild"

sys.path.insert(0, str(TOP / "tests/e2e"))

from cluster import helm_and_kubectl  # noqa: E402 (found by the line above)


@functools.cache
def _helm_program() -> str:
    return helm_and_kubectl.programs()["helm"]


class Refused(AssertionError):
    """helm said no; str() is what it printed."""


def helm(*words) -> str:
    """What helm prints; it sees no cluster and no configuration of whoever runs the tests."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([_helm_program(), *map(str, words)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env={"HOME": home, "PATH": "/usr/bin:/bin", "KUBECONFIG": "/dev/null"})
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def template(*words, kube_version="1.31.0") -> str:
    return helm("template", "imagebuild", CHART, "--namespace", "imagebuild-system", "--kube-version", kube_version, *words)


def objects(*words, **kwargs) -> list[dict]:
    return [document for document in yaml.safe_load_all(template(*words, **kwargs)) if document]


def one(kind: str, found: list[dict]) -> dict:
    """The only object of that kind."""
    one, = [each for each in found if each["kind"] == kind]
    return one
