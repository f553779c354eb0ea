"""Makes the archives that cases ADD, from a list of their members in the case."""

import bz2
import ctypes
import gzip
import io
import json
import lzma
import shlex
import tarfile

_TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE,
          "fifo": tarfile.FIFOTYPE, "char": tarfile.CHRTYPE}
_TIME = 1500000000


def pack(text: str, compression: str) -> bytes:
    """One member a line, as README.md says; the compression is none, gz, bz2, xz or zst; "gz,300" keeps 300 bytes."""
    compression, _, kept = compression.partition(",")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for line in text.splitlines():
            if line.strip():
                _add(tar, line)
    data = _COMPRESSORS[compression](packed.getvalue())
    return data[:int(kept)] if kept else data


def _add(tar: tarfile.TarFile, line: str) -> None:
    """kind path [key=value …]: mode, owner, mtime, target, content, device, xattr:NAME."""
    words_of = shlex.shlex(line, posix=True, punctuation_chars=False)
    words_of.whitespace_split, words_of.escape, words_of.commenters = True, "", ""  # \n is the content's own
    kind, path, *words = words_of
    entry = tarfile.TarInfo(path)
    entry.type, entry.mtime = _TYPES[kind], _TIME
    entry.mode = 0o755 if kind == "dir" else 0o644
    content = b""
    for word in words:
        key, _, value = word.partition("=")
        if key == "mode":
            entry.mode = int(value, 8)
        elif key == "owner":
            entry.uid, entry.gid = map(int, value.split(":"))
        elif key == "mtime":
            entry.mtime = int(value)
        elif key == "target":
            entry.linkname = value
        elif key == "content":
            content = json.loads(f'"{value}"').encode()
        elif key == "device":
            entry.devmajor, entry.devminor = map(int, value.split(","))
        elif key.startswith("xattr:"):
            entry.pax_headers = entry.pax_headers | {f"SCHILY.xattr.{key.removeprefix('xattr:')}": json.loads(f'"{value}"')}
        else:
            raise ValueError(f"unknown attribute {word} of the archive's member {path}")
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _zstd(data: bytes) -> bytes:
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    room = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    packed = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(packed, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 3)
    return packed.raw[:size]


_COMPRESSORS = {"none": bytes, "gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress, "zst": _zstd}
