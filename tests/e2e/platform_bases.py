"""A base image for several platforms, made of the stand-in of busybox.

Every platform has the layer of amd64, with a configuration that says otherwise: good for everything but running it.
"""

import hashlib
import json
import pathlib

from harness import processes

_MEDIA = "application/vnd.oci.image."


def push(mirror: str, target: str, platforms: list[str], folder: pathlib.Path) -> None:
    """Pushes an index with one image for each of `platforms` ("linux/arm/v7") to `target`."""
    processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{mirror}/library/busybox:1.35",
                  f"oci:{folder}:image")
    blobs = folder / "blobs/sha256"
    found = json.loads((folder / "index.json").read_text())["manifests"][0]
    manifest = _read(blobs, found["digest"])
    config = _read(blobs, manifest["config"]["digest"])
    entries = []
    for platform in platforms:
        words = dict(zip(("os", "architecture", "variant"), platform.split("/")))
        own = config | words | {"config": config["config"] | {"Labels": {"made-for": platform}}}
        image = manifest | {"config": _put(blobs, "config.v1+json", own)}
        entries.append(_put(blobs, "manifest.v1+json", image) | {"platform": words})
    index = {"schemaVersion": 2, "mediaType": _MEDIA + "index.v1+json", "manifests": entries}
    root = _put(blobs, "index.v1+json", index) | {"annotations": {"org.opencontainers.image.ref.name": "image"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    processes.run("skopeo", "copy", "--all", "--quiet", "--dest-tls-verify=false", f"oci:{folder}:image",
                  f"docker://{target}")


def _read(blobs: pathlib.Path, digest: str) -> dict:
    return json.loads((blobs / digest.removeprefix("sha256:")).read_text())


def _put(blobs: pathlib.Path, kind: str, value: dict) -> dict:
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": _MEDIA + kind, "digest": f"sha256:{digest}", "size": len(data)}
