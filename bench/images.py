"""Base images of several sizes for the benchmarks: layers of the tests' stand-in bases, stacked."""

import contextlib
import dataclasses
import gzip
import pathlib
import tempfile

import cases  # noqa: F401 (finds the harness)
import bases
from harness import layout, processes
from harness.registry import Registry

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Each compiles C. The one in the middle is about as large as what the figures were measured with.
_COMPILERS = (("debian", "gcc"), ("debian", "gcc", "node-slim"), ("debian", "gcc", "node-slim", "golang"))


@dataclasses.dataclass(frozen=True)
class Base:
    name: str  # As FROM writes it.
    megabytes: int  # Unpacked.


def _tar_bytes(path: pathlib.Path) -> int:
    with gzip.open(path) as tar:
        return sum(len(piece) for piece in iter(lambda: tar.read(1 << 20), b""))


@contextlib.contextmanager
def registry():
    """A registry to be the mirror of docker.io, with busybox:1.35, and the compiler bases in it, smallest first."""
    compilers = []
    with tempfile.TemporaryDirectory(prefix="imagebuild-bases-") as work, Registry() as server:
        def push(name: str, *layers: str) -> list[pathlib.Path]:
            tars = bases.layer_tars(*layers)
            folder = pathlib.Path(work) / name.replace(":", "-")
            layout.write(folder, {"Env": [_PATH], "Cmd": ["sh"]}, tars)
            processes.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{folder}:image",
                          f"docker://{server.host}/library/{name}")
            return tars

        push("busybox:1.35", "busybox")
        sizes: dict[pathlib.Path, int] = {}
        for number, layers in enumerate(_COMPILERS):
            for tar in push(f"compiler:{number}", *layers):
                sizes.setdefault(tar, _tar_bytes(tar))
            compilers.append(Base(f"compiler:{number}", round(sum(sizes[tar] for tar in bases.layer_tars(*layers)) / 1e6)))
        yield server, compilers
