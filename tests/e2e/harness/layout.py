"""Writes an image as an OCI layout folder, for the images that a test makes itself."""

import gzip
import hashlib
import json
import os
import pathlib

_MEDIA = "application/vnd.oci.image."


def write(folder: pathlib.Path, config: dict, layers: list[pathlib.Path]) -> None:
    """An image tagged `image`; `layers` are gzip-compressed tars, `config` is what a container gets (Env, Cmd, …)."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    descriptors, diff_ids = [], []
    for layer in layers:
        digest = _sha256(open(layer, "rb"))
        diff_ids.append(f"sha256:{_sha256(gzip.open(layer))}")
        if not (blobs / digest).exists():
            os.symlink(layer, blobs / digest)
        descriptors.append({"mediaType": _MEDIA + "layer.v1.tar+gzip", "digest": f"sha256:{digest}",
                            "size": layer.stat().st_size})
    image = {"created": "2023-06-10T00:00:00Z", "architecture": "amd64", "os": "linux", "config": config,
             "rootfs": {"type": "layers", "diff_ids": diff_ids},
             "history": [{"created": "2023-06-10T00:00:00Z", "created_by": layer.name} for layer in layers]}
    manifest = {"schemaVersion": 2, "mediaType": _MEDIA + "manifest.v1+json",
                "config": _put(blobs, "config.v1+json", image), "layers": descriptors}
    entry = _put(blobs, "manifest.v1+json", manifest) | {"annotations": {"org.opencontainers.image.ref.name": "image"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _put(blobs: pathlib.Path, kind: str, value: dict) -> dict:
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": _MEDIA + kind, "digest": f"sha256:{digest}", "size": len(data)}


def _sha256(stream) -> str:
    with stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
