"""Where the cases take their bases from: the stand-ins of tests/e2e, and images that a case describes itself."""

import gzip
import io
import json
import pathlib
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import bases  # noqa: E402
from base_recipes import IMAGES  # noqa: E402
from harness import layout, processes  # noqa: E402
from harness.registry import Registry  # noqa: E402
from tree import Layout, Tree  # noqa: E402


class Bases:
    """Two registries that together are docker.io, from construction until close()."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._stand_ins = bases.mirror()
        self._made = Registry()
        self.mirrors = [self._stand_ins, self._made]
        self._layouts: dict[str, Layout] = {}
        self._names = list(IMAGES)

    def close(self) -> None:
        for registry in self.mirrors:
            registry.close()

    def make(self, name: str, text: str) -> None:
        """An image of JSON: {"from": NAME, "config": {…}, "files": {PATH: TEXT}}, each member optional; null clears."""
        described = json.loads(text)
        below = self._layout(described["from"]) if described.get("from") else None
        config = dict(below.config.get("config", {})) if below else {}
        config |= described.get("config", {})
        folder = pathlib.Path(tempfile.mkdtemp(dir=self._folder, prefix="base-"))
        layers = []
        if below:
            source = self._layout_folder(described["from"])
            layers += [source / "blobs" / layer["digest"].replace(":", "/") for layer in below.manifest["layers"]]
        if described.get("files"):
            layers.append(_layer(folder / "files.tar.gz", described["files"]))
        layout.write(folder / "layout", {key: value for key, value in config.items() if value is not None}, layers)
        processes.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{folder}/layout:image",
                      f"docker://{self._made.host}/library/{name}")
        self._layouts[name] = Layout(folder / "layout")
        self._names.append(name)

    def _layout_folder(self, name: str) -> pathlib.Path:
        return self._folder / "bases" / name.replace(":", "-")

    def _layout(self, name: str) -> Layout:
        if name not in self._layouts:
            folder = self._layout_folder(name)
            folder.parent.mkdir(exist_ok=True)
            processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false",
                          f"docker://{self._stand_ins.host}/library/{name}", f"oci:{folder}:image")
            self._layouts[name] = Layout(folder)
        return self._layouts[name]

    def base_of(self, image: Layout, dockerfile: str) -> tuple[str, Tree, int]:
        """The base that the Dockerfile names and whose layers the image begins with: name, tree, entries of its history."""
        best: tuple[int, str] = (0, "")
        for name in self._names:
            if name in dockerfile:
                layers = self._layout(name).diff_ids
                if image.diff_ids[:len(layers)] == layers:
                    best = max(best, (len(layers), name))
        if not best[1]:
            return "", {}, 0
        found = self._layout(best[1])
        return best[1], found.tree(), len(found.config.get("history") or [])


def _layer(path: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
    with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as file, tarfile.open(fileobj=file, mode="w") as tar:
        folders = {str(parent) for name in files for parent in pathlib.PurePosixPath(name).parents} - {"."}
        for name in sorted(folders):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path
