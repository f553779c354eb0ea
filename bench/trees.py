"""Trees for measurements: the same files on every run, as compressible as programs and texts are."""

import os
import pathlib
import random

# Where the content comes from: what every machine that can run the benchmarks has.
_POOL_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/python3", "/usr/share/perl", "/usr/include")
_POOL_BYTES = 192 << 20


def _pool() -> bytes:
    pieces, size = [], 0
    for folder in _POOL_FOLDERS:
        for where, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = pathlib.Path(where, name)
                if size < _POOL_BYTES and path.is_file() and not path.is_symlink():
                    pieces.append(path.read_bytes()[:4 << 20])
                    size += len(pieces[-1])
    return b"".join(pieces)


def make(folder: pathlib.Path, files: int, mebibytes: int, seed: int = 1) -> None:
    """`files` files of `mebibytes` in all, 50 in a folder: most are small, a few hold most of the bytes."""
    chance = random.Random(seed)
    weights = [chance.lognormvariate(0, 1.6) for _ in range(files)]
    scale = (mebibytes << 20) / sum(weights)
    pool = memoryview(_pool())
    for number, weight in enumerate(weights):
        if number % 50 == 0:
            place = folder / f"{number // 2500:02d}" / f"part-{number // 50:04d}"
            place.mkdir(parents=True)
        left, name = int(weight * scale), f"file-{number:05d}.{chance.choice(('c', 'h', 'so', 'py', 'txt'))}"
        with open(place / name, "wb") as file:
            while left > 0:
                at = chance.randrange(len(pool) - 4096)
                left -= file.write(pool[at:at + min(left, 1 << 20)])
        if number % 10 == 0:
            (place / name).chmod(0o755)
