"""The project's own images, built by imagebuild from the programs that were just compiled."""

import json
import pathlib
import tempfile

from harness import processes
from harness.builder import imagebuild_program
from harness.cache import cache_folder, locked

TOP = pathlib.Path(__file__).resolve().parents[2]
CHART = TOP / "charts/imagebuild"

# Image → the programs in it.
PROGRAMS = {"operator": ("imagebuild-operator",), "builder": ("imagebuild-builder", "imagebuild-stage"), "stage": ("imagebuild-stage",)}


def build_images(registry: str, mirror: str = "") -> dict[str, str]:
    """Builds the images and pushes them to `registry` (host:port, plain HTTP): name → reference with digest.

    `mirror` is the URL of docker.io's mirror; default: the registry itself, as that of a cluster is one. What was built
    before is known from the cache folder, so that calling this again costs a moment.
    """
    with locked("images"):
        return {name: _build(name, registry, mirror or f"http://{registry}") for name in PROGRAMS}


def _build(name: str, registry: str, mirror: str) -> str:
    programs = pathlib.Path(imagebuild_program()).parent
    for program in PROGRAMS[name]:
        if not (programs / program).is_file():
            raise AssertionError(f"there is no {program} in {programs}: build it first (cmake --build --preset release)")
    repository = f"{registry}/imagebuild/imagebuild-{name}"
    with tempfile.NamedTemporaryFile() as metadata:
        processes.run(imagebuild_program(), "build", "--progress", "plain", "--store", cache_folder() / "images/store",
                      "--registry-mirror", f"docker.io={mirror}", "--insecure-registry", registry, "-t", f"{repository}:test",
                      "--metadata-file", metadata.name, "-f", TOP / f"images/{name}.Dockerfile", programs)
        return f"{repository}@{json.loads(pathlib.Path(metadata.name).read_text())['containerimage.digest']}"


def chart_values(images: dict[str, str]) -> list[str]:
    """The words that make helm use these images."""
    words = []
    for name, reference in images.items():
        repository, digest = reference.split("@")
        registry, _, repository = repository.rpartition("/")
        words += ["--set", f"images.registry={registry},images.{name}.repository={repository},images.{name}.digest={digest}"]
    return words
