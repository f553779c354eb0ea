#!/usr/bin/python3
"""Shows the main job: builds a folder with a Dockerfile, pushes the image to a registry, pulls it back and runs it.

    roundtrip.py examples/hello

The base images come from a local mirror of docker.io with stand-ins made from Debian's packages; the program of
IMAGEBUILD_BIN builds and pushes, skopeo pulls, umoci unpacks, runc runs.
"""

import pathlib
import shlex
import subprocess
import sys
import tempfile

import bases
from harness.builder import imagebuild_program
from harness.image import Image
from harness.registry import Registry


def main(context: pathlib.Path) -> int:
    bases.ensure(say=print)
    with bases.mirror() as mirror, Registry() as registry, tempfile.TemporaryDirectory(prefix="imagebuild-") as folder:
        tag = f"{registry.host}/examples/{context.name}:1"
        command = [imagebuild_program(), "build", "-t", tag, "--store", f"{folder}/store", "--registry-mirror",
                   f"docker.io={mirror.url}", str(context)]
        show(shlex.join(["imagebuild", *command[1:]]))
        if code := subprocess.run(command).returncode:
            return code
        show(f"skopeo copy docker://{tag} oci:… && umoci unpack … && runc run …")
        image = Image(f"docker://{tag}", pathlib.Path(folder) / "pulled")
        done = image.run()
        print(done.stdout, end="")
        print(done.stderr, end="", file=sys.stderr)
        print(f"\n{tag} ({image.digest}) was built, pushed, pulled back and run.")
        return done.returncode


def show(command: str) -> None:
    print(f"\n$ {command}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: roundtrip.py FOLDER")
    sys.exit(main(pathlib.Path(sys.argv[1])))
