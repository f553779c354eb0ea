"""What nobody who makes a layer can leave out, done alone: hashing, compressing on all cores, moving bytes to the disk."""

import concurrent.futures
import ctypes
import hashlib
import os
import pathlib
import time

_BLOCK_BYTES = {"gzip": 1 << 20, "zstd": 4 << 20}  # As lib/archive/compress.cc has them.
_LEVEL = {"gzip": 1, "zstd": 3}


def seconds(tree: pathlib.Path, compression: str, scratch: pathlib.Path) -> dict[str, float]:
    """Each part with the tree's bytes in memory already, but "disk", which reads and writes files and waits for neither.

    "everything" is what all of it costs together when the cores share it evenly and wait for nothing: the CPU seconds of
    reading the files from the page cache, of SHA-256 of tar and blob, of the compressor and of writing the blob.
    """
    paths = sorted(path for path in tree.rglob("*") if path.is_file())
    started = time.monotonic()
    content = b"".join(path.read_bytes() for path in paths)
    reading = time.monotonic() - started

    cpu = _cpu(_read_all, paths)
    started = time.monotonic()
    cpu += _cpu(hashlib.sha256, content)
    hashing = time.monotonic() - started

    started, cpu_before = time.monotonic(), time.process_time()
    compressed_bytes = _compress(content, compression)
    compressing = time.monotonic() - started
    cpu += time.process_time() - cpu_before
    cpu += _cpu(hashlib.sha256, memoryview(content)[:compressed_bytes])

    started, cpu_before = time.monotonic(), time.process_time()
    with open(scratch / "written", "wb", buffering=0) as file:
        for at in range(0, compressed_bytes, 1 << 20):
            file.write(memoryview(content)[at:min(at + (1 << 20), compressed_bytes)])
    cpu += time.process_time() - cpu_before
    return {"SHA-256": hashing, compression: compressing, "disk": reading + time.monotonic() - started,
            "everything": cpu / (os.cpu_count() or 1)}


def _cpu(work, *arguments) -> float:
    before = time.process_time()
    work(*arguments)
    return time.process_time() - before


def _read_all(paths: list[pathlib.Path]) -> None:
    """With little of Python in between: three calls a file and a piece."""
    names, buffer = [str(path) for path in paths], [bytearray(256 * 1024)]
    for name in names:
        file = os.open(name, os.O_RDONLY)
        while os.readv(file, buffer) > 0:
            pass
        os.close(file)


def _compress(content: bytes, compression: str) -> int:
    """With the library and level that layers are made with, each core a block at a time; foreign calls free Python."""
    block_bytes = _BLOCK_BYTES[compression]
    start = ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value
    blocks = range(0, len(content), block_bytes)
    encode = _gzip_encoder if compression == "gzip" else _zstd_encoder

    def work(number: int) -> int:
        encoder, total = encode(block_bytes), 0
        for at in blocks[number::cores]:
            total += encoder(start + at, min(block_bytes, len(content) - at))
        return total

    cores = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(work, range(cores)))


def _gzip_encoder(block_bytes: int):
    library = ctypes.CDLL("libdeflate.so.0")
    library.libdeflate_alloc_compressor.restype = ctypes.c_void_p
    library.libdeflate_gzip_compress.restype = ctypes.c_size_t
    compressor = ctypes.c_void_p(library.libdeflate_alloc_compressor(_LEVEL["gzip"]))
    out = ctypes.create_string_buffer(2 * block_bytes)
    return lambda at, size: library.libdeflate_gzip_compress(
        compressor, ctypes.c_void_p(at), ctypes.c_size_t(size), out, ctypes.c_size_t(len(out)))


def _zstd_encoder(block_bytes: int):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_createCCtx.restype = ctypes.c_void_p
    library.ZSTD_compressCCtx.restype = ctypes.c_size_t
    context = ctypes.c_void_p(library.ZSTD_createCCtx())
    out = ctypes.create_string_buffer(2 * block_bytes)
    return lambda at, size: library.ZSTD_compressCCtx(
        context, out, ctypes.c_size_t(len(out)), ctypes.c_void_p(at), ctypes.c_size_t(size), _LEVEL["zstd"])
