#!/usr/bin/python3
"""Makes the stand-in base images of base_recipes.py and keeps them in the cache folder as the storage of a registry.

    bases.py            make what is missing, print what was done
    bases.py gcc:12     only these

A layer or image is made again when its recipe, its parents or this script change. Needs root, and Debian's mirror for
what is not cached yet.
"""

import hashlib
import os
import pathlib
import re
import sys
import tempfile
import time

from base_recipes import IMAGES, LAYERS
from harness import layout, processes
from harness.cache import cache_folder, locked
from harness.registry import Registry

_HERE = pathlib.Path(__file__).resolve().parent
_MAKER = _HERE / "base_layer.sh"
_SUITE = "bookworm"


def storage() -> pathlib.Path:
    """The folder that a docker-registry serves to be the mirror of docker.io."""
    return cache_folder() / "bases/registry"


def mirror() -> Registry:
    """A registry that serves every stand-in base; they are made first where that was not done yet."""
    ensure()
    return Registry(storage(), readonly=True)


def layer_tars(*names: str) -> list[pathlib.Path]:
    """Layers of base_recipes.py as gzip-compressed tars, for who stacks an image of its own."""
    with locked("bases"):
        return [_layer_tar(name) for name in names]


def ensure(names=tuple(IMAGES), say=lambda text: None) -> None:
    with locked("bases"):
        for name in names:
            stamp = cache_folder() / "bases/stamps" / name
            wanted = _image_stamp(name)
            if stamp.is_file() and stamp.read_text() == wanted:
                continue
            started = time.monotonic()
            _push(name)
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text(wanted)
            say(f"made the base image {name} in {time.monotonic() - started:.0f} s")


def _debian_mirror() -> str:
    """The mirror that this machine's apt is set up with."""
    sources = [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*")]
    for source in sources:
        text = source.read_text() if source.is_file() else ""
        if found := re.search(r"(?m)^(?:URIs:|deb)\s+(?:\[.*?\]\s+)?(https?://\S+/debian)/?(?:\s|$)", text):
            return found[1]
    raise AssertionError("no Debian mirror is configured in /etc/apt; the base images are made from its packages")


def _layer_stamp(name: str) -> str:
    """Names everything a layer is made from, so that a cached one can be trusted."""
    layer = LAYERS[name]
    parent = _layer_stamp(layer.parent) if layer.parent else _SUITE
    words = [parent, *layer.packages, layer.script, _MAKER.read_text()]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def _image_stamp(name: str) -> str:
    chain = [_layer_stamp(layer) for layer in _chain(IMAGES[name].layer)]
    return hashlib.sha256(repr([IMAGES[name], chain]).encode()).hexdigest()


def _chain(name: str) -> list[str]:
    """The layers from the lowest up to `name`."""
    parent = LAYERS[name].parent
    return (_chain(parent) if parent else []) + [name]


def _layer_tar(name: str) -> pathlib.Path:
    """The layer as a gzip-compressed tar in the cache, made now if it is not there."""
    folder = cache_folder() / "bases/layers"
    tar = folder / f"{name}-{_layer_stamp(name)}.tar.gz"
    if tar.is_file():
        return tar
    lower = [_layer_tar(below) for below in _chain(name)[:-1]]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}-{'[0-9a-f]' * 16}.tar.gz"):
        old.unlink()
    layer = LAYERS[name]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "SUITE": _SUITE, "MIRROR": _debian_mirror(),
                   "DEBS": str(cache_folder() / "bases/debs"), "PACKAGES": " ".join(layer.packages), "SCRIPT": layer.script}
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="making-") as work:
        made = pathlib.Path(work) / "layer.tar.gz"
        # Its own mount name space: whatever happens, no mount of the maker is left behind.
        processes.run("unshare", "--mount", "--pid", "--fork", "--kill-child", _MAKER, name, work, made, *lower,
                      env=environment)
        made.rename(tar)
    return tar


def _push(name: str) -> None:
    image = IMAGES[name]
    tars = [_layer_tar(layer) for layer in _chain(image.layer)]
    config = {"Env": list(image.env), "Cmd": list(image.cmd)}
    if image.entrypoint:
        config["Entrypoint"] = list(image.entrypoint)
    if image.workdir:
        config["WorkingDir"] = image.workdir
    if image.ports:
        config["ExposedPorts"] = {port: {} for port in image.ports}
    if image.stop_signal:
        config["StopSignal"] = image.stop_signal
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="making-") as work, Registry(storage()) as registry:
        layout.write(pathlib.Path(work), config, tars)
        processes.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{work}:image",
                      f"docker://{registry.host}/library/{name}")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("making base images needs root (debootstrap, overlay mounts)")
    ensure(sys.argv[1:] or tuple(IMAGES), print)
