"""The cache folder of the tests: what is slow to make and the same every time, kept outside the checkout."""

import contextlib
import fcntl
import os
import pathlib


def cache_folder() -> pathlib.Path:
    chosen = os.environ.get("IMAGEBUILD_CACHE")
    folder = pathlib.Path(chosen) if chosen else pathlib.Path.home() / ".cache/imagebuild-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(name: str):
    """Only one process at a time makes what the cache lacks; the lock ends with its holder."""
    with open(cache_folder() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
