"""Reads an image back with other implementations: skopeo fetches it, umoci unpacks it, runc runs it."""

import gzip
import io
import json
import pathlib
import subprocess
import tarfile
import uuid

from . import processes

# What Docker and Kubernetes give a container that asks for nothing; umoci's own default is less.
_CAPABILITIES = [f"CAP_{name}" for name in (
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID "
    "SYS_CHROOT").split()]


class Image:
    """An image copied by skopeo from `source` (docker://…, oci:…, docker-archive:…) into `folder` as an OCI layout."""

    def __init__(self, source: str, folder: pathlib.Path):
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false", source, f"oci:{folder}/layout:image")
        index = json.loads((folder / "layout/index.json").read_text())
        self.digest = index["manifests"][0]["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config_digest = self.manifest["config"]["digest"]
        self.config = json.loads(self.blob(self.config_digest))

    def blob(self, digest: str) -> bytes:
        return self._blob_path(digest).read_bytes()

    def _blob_path(self, digest: str) -> pathlib.Path:
        return self._folder / "layout/blobs" / digest.replace(":", "/")

    @property
    def diff_ids(self) -> list[str]:
        return self.config["rootfs"]["diff_ids"]

    def layer(self, index: int) -> tarfile.TarFile:
        return tarfile.open(self._blob_path(self.manifest["layers"][index]["digest"]))

    def layer_bytes(self, index: int) -> bytes:
        """The layer as a plain tar."""
        data = self.blob(self.manifest["layers"][index]["digest"])
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data

    def added_to(self, base: "Image | None") -> dict[str, tarfile.TarInfo]:
        """What the image has on top of `base`: path → last tar entry, directories that only lead there left out.

        Fails if the image does not begin with exactly the layers of its base.
        """
        below = len(base.diff_ids) if base else 0
        if base and self.diff_ids[:below] != base.diff_ids:
            raise AssertionError(f"the image's lower layers {self.diff_ids} are not its base's {base.diff_ids}")
        entries: dict[str, tarfile.TarInfo] = {}
        for index in range(below, len(self.diff_ids)):
            with self.layer(index) as tar:
                for entry in tar:
                    entries[entry.name.removeprefix("./").strip("/") or "."] = entry
        parents = {str(parent) for path in entries for parent in pathlib.PurePosixPath(path).parents}
        return {path: entry for path, entry in entries.items() if not (entry.isdir() and path in parents)}

    def unpack(self) -> pathlib.Path:
        """The bundle (rootfs and config.json) that umoci makes of the image."""
        bundle = self._folder / "bundle"
        if not bundle.exists():
            processes.run("umoci", "unpack", "--image", f"{self._folder}/layout:image", bundle)
        return bundle

    def run(self, *command: str, environment: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        """Runs the image as it is configured, or another command in it, in a container of its own, to its end."""
        bundle = self.unpack()
        path = bundle / "config.json"
        config = json.loads(path.read_text())
        config["process"]["terminal"] = False
        config["process"]["capabilities"] = {kind: _CAPABILITIES for kind in ("bounding", "effective", "permitted")}
        config["process"]["env"] += environment
        if command:
            config["process"]["args"] = list(command)
        path.write_text(json.dumps(config))
        name = f"imagebuild-e2e-{uuid.uuid4().hex}"
        runc = ["runc", "--root", str(self._folder / "runc")]
        try:
            return processes.run(*runc, "run", "--bundle", bundle, name, check=False, timeout=60)
        finally:
            processes.run(*runc, "delete", "--force", name, check=False)


def tar_of(files: dict[str, str]) -> bytes:
    """A tar with these files, as a build context."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()
