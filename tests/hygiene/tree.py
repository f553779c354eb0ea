"""What the hygiene tests look at: the files that git tracks."""

import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[pathlib.Path]:
    """The tracked files that still exist and match one of the patterns ('*.cc'; none: all), relative to the top."""
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z", "--", *patterns], capture_output=True, check=True).stdout
    return [pathlib.Path(name) for name in listed.decode().split("\0") if name and (TOP / name).is_file()]


def text(path: pathlib.Path) -> str:
    """A file's text, empty for one that is not text."""
    data = (TOP / path).read_bytes()
    return "" if b"\0" in data else data.decode(errors="replace")
