"""The cluster's registry and what is in it from the start: every stand-in base image, and the pause image."""

import hashlib
import pathlib
import shutil
import tarfile
import tempfile

import bases
from harness import layout, processes
from harness.cache import cache_folder

from .enclave import Enclave
from .network import Network

PAUSE = "imagebuild/pause:1"

_CONFIG = """version: 0.1
log: {{level: info, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{address}"}}
"""


def start_registry(folder: pathlib.Path, enclave: Enclave, network: Network) -> None:
    """Serves the base images as library/NAME, as docker.io does, and takes what is pushed."""
    folder.mkdir()
    _fill(folder / "storage/docker/registry/v2", bases.storage() / "docker/registry/v2")
    (folder / "config.yml").write_text(_CONFIG.format(storage=folder / "storage", address=network.registry))
    enclave.start("registry", "docker-registry", "serve", folder / "config.yml")


def _fill(storage: pathlib.Path, bases_storage: pathlib.Path) -> None:
    """Shares the blobs of the bases, which never change, and copies the small files that name them."""
    shutil.copytree(bases_storage / "repositories", storage / "repositories")
    for data in (bases_storage / "blobs").glob("*/*/*/data"):
        link = storage / data.relative_to(bases_storage)
        link.parent.mkdir(parents=True)
        link.symlink_to(data)


def pause_program() -> pathlib.Path:
    """pause.c, compiled; in the cache, named by what it was made from."""
    source = pathlib.Path(__file__).with_name("pause.c")
    program = cache_folder() / f"pause-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not program.is_file():
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="making-") as work:
            processes.run("gcc", "-Os", "-static", "-s", "-o", f"{work}/pause", source)
            pathlib.Path(work, "pause").rename(program)
    return program


def push_pause(program: pathlib.Path, network: Network) -> None:
    with tempfile.TemporaryDirectory(prefix="imagebuild-pause-") as work:
        layer = pathlib.Path(work) / "layer.tar.gz"
        with tarfile.open(layer, "w:gz") as tar:
            tar.add(program, "pause")
        layout.write(pathlib.Path(work) / "layout", {"Entrypoint": ["/pause"]}, [layer])
        processes.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{work}/layout:image",
                      f"docker://{network.registry}/{PAUSE}")
