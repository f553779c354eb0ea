"""The files of an image: its layers laid over one another, as the OCI image specification says."""

import collections
import dataclasses
import functools
import hashlib
import json
import pathlib
import tarfile

_KINDS = {tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.GNUTYPE_SPARSE: "file", tarfile.DIRTYPE: "dir",
          tarfile.SYMTYPE: "symlink", tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block"}
_XATTR = "SCHILY.xattr."
_SHOWN_CONTENT = 80  # bytes of text that are shown instead of their hash


@dataclasses.dataclass(frozen=True, eq=False)  # one object is one inode
class Inode:
    kind: str
    mode: int
    owner: str
    size: int
    mtime: int
    content: str  # JSON text of short texts, otherwise the hash; "" for what is no file
    target: str
    device: str
    xattrs: tuple[tuple[str, str], ...]


Tree = dict[str, Inode]  # path from the root, without a slash at the beginning


class Layout:
    """An OCI layout with one image in it."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        index = json.loads((folder / "index.json").read_text())
        self.digest = index["manifests"][-1]["digest"]
        self.manifest = self._json(self.digest)
        self.config = self._json(self.manifest["config"]["digest"])
        self.diff_ids = tuple(self.config["rootfs"]["diff_ids"] or ())

    def _path(self, digest: str) -> pathlib.Path:
        return self._folder / "blobs" / digest.replace(":", "/")

    def _json(self, digest: str) -> dict:
        return json.loads(self._path(digest).read_text())

    def flaws(self) -> list[str]:
        """What no image may have, whatever it is made from."""
        filled = sum(not entry.get("empty_layer") for entry in self.config.get("history") or [])
        found = [] if filled == len(self.diff_ids) else [f"the history speaks of {filled} layers, there are {len(self.diff_ids)}"]
        for layer, diff_id in zip(self.manifest["layers"], self.diff_ids):
            paths = collections.Counter(entry.path for entry in _entries(diff_id, self._path(layer["digest"])))
            found += [f"layer {diff_id} has {path!r} {count} times" for path, count in paths.items() if count > 1]
        return found

    def tree(self, layers: int | None = None) -> Tree:
        """What the first `layers` layers hold, or all of them."""
        found: Tree = {}
        for layer, diff_id in list(zip(self.manifest["layers"], self.diff_ids))[:layers]:
            found = _over(found, _entries(diff_id, self._path(layer["digest"])))
        return found


_Entry = collections.namedtuple("_Entry", "path inode link")
_known_layers: dict[str, list[_Entry]] = {}


def _entries(diff_id: str, path: pathlib.Path) -> list[_Entry]:
    """Layers of bases are read once."""
    if diff_id not in _known_layers:
        with tarfile.open(path) as tar:
            _known_layers[diff_id] = [_entry(tar, member) for member in tar]
    return _known_layers[diff_id]


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    path = _clean(member.name)
    if member.type == tarfile.LNKTYPE:
        return _Entry(path, None, _clean(member.linkname))
    kind = _KINDS[member.type]
    content = _content(tar.extractfile(member)) if kind == "file" else ""
    xattrs = tuple(sorted((key.removeprefix(_XATTR), value) for key, value in member.pax_headers.items() if key.startswith(_XATTR)))
    inode = Inode(kind, member.mode & 0o7777 if kind != "symlink" else 0o777, f"{member.uid}:{member.gid}",
                  member.size if kind == "file" else 0, int(member.mtime), content, member.linkname if kind == "symlink" else "",
                  f"{member.devmajor},{member.devminor}" if kind in ("char", "block") else "", xattrs)
    return _Entry(path, inode, "")


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _content(file) -> str:
    start = file.read(_SHOWN_CONTENT + 1)
    if len(start) <= _SHOWN_CONTENT and b"\0" not in start:
        try:
            return json.dumps(start.decode(), ensure_ascii=False)
        except UnicodeDecodeError:
            pass
    digest = hashlib.sha256(start)
    for piece in iter(functools.partial(file.read, 1 << 20), b""):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _over(lower: Tree, entries: list[_Entry]) -> Tree:
    """The tree after a layer; its whiteouts concern only what is below it."""
    tree = dict(lower)
    for path, _, _ in entries:
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove_below(tree, folder)
        elif name.startswith(".wh."):
            hidden = f"{folder}/{name[4:]}".lstrip("/")
            tree.pop(hidden, None)
            _remove_below(tree, hidden)
    for path, inode, link in entries:
        if path.rpartition("/")[2].startswith(".wh."):
            continue
        inode = tree[link] if inode is None else inode
        if inode.kind != "dir" and path in tree and tree[path].kind == "dir":
            _remove_below(tree, path)
        _need_parents(tree, path)
        if path:
            tree[path] = inode
    return tree


def _need_parents(tree: Tree, path: str) -> None:
    parent = path.rpartition("/")[0]
    if parent and (parent not in tree or tree[parent].kind != "dir"):
        raise ValueError(f"the layer has {path!r}, but nothing says that {parent!r} is a directory")


def _remove_below(tree: Tree, folder: str) -> None:
    prefix = f"{folder}/" if folder else ""
    for path in [path for path in tree if path.startswith(prefix)]:
        del tree[path]


def hard_links(tree: Tree) -> dict[str, list[str]]:
    """Path → all paths of the same inode, for those that have several."""
    paths = collections.defaultdict(list)
    for path, inode in tree.items():
        if inode.kind != "dir":
            paths[id(inode)].append(path)
    return {path: sorted(group) for group in paths.values() if len(group) > 1 for path in group}
