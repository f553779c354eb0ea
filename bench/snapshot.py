#!/usr/bin/python3
"""Times what a RUN costs that changes ten files of a large tree: finding what changed, beside Buildah.

    bench/snapshot.py [--rounds 5] [--files 6000 20000 60000] [--results FILE]

The base image holds the tree. The first RUN of the Dockerfile changes ten files and so does the second, which gives each
its old size and time back. "found" is the time from the last word of the second RUN to the end of its step: the command
ends, what it left is cleared up, the whole tree is looked at, and the layer is written. The builds of both programs
take turns, each with its store in place and `--no-cache`.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

import cases
import trees

import bases
from harness.builder import Builder
from harness.registry import Registry

MOST_SECONDS = 0.150  # Of "found".

# Ten files, spread over the tree; `head` keeps the size, `touch -d` gives the time back.
DOCKERFILE = """FROM {base}
RUN for f in $(find /tree -name '*7.*' | head -10); do echo more >> $f; done
RUN for f in $(find /tree -name '*3.*' | head -10); do t=$(stat -c @%Y $f); s=$(stat -c %s $f); \\
      head -c $s /dev/urandom > $f; touch -d $t $f; done; echo changed
"""


class Telling(Builder):
    """Says when each step began, printed and ended."""

    def command(self, context, *flags, tag="") -> list[str]:
        return ["json" if word == "plain" else word for word in super().command(context, *flags, tag=tag)]


def base_image(folder: pathlib.Path, files: int, mirror: str, registry: Registry) -> str:
    context = folder / "base"
    trees.make(context / "tree", files, files * 2 // 1024)
    (context / "Dockerfile").write_text("FROM busybox:1.35\nCOPY tree /tree\n")
    builder = Builder(folder / "maker", mirror, kind="imagebuild")
    built = builder.build(context, tag=f"{registry.host}/bench/tree:{files}")
    builder.clear()
    if built.exit_code != 0:
        sys.exit(f"the base could not be made:\n{built.output}")
    return f"{registry.host}/bench/tree:{files}"


def build_with_imagebuild(builder: Builder, context: pathlib.Path) -> dict[str, float]:
    started = time.monotonic()
    build = builder.start(context, "--no-cache")
    with build.stdout:
        events = [json.loads(line) for line in build.stdout]
    if build.wait() != 0:
        sys.exit(f"the build failed: {events[-1:]}")
    done = {"build": time.monotonic() - started}
    said = next(it["time"] for it in events if it["event"] == "stepOutput" and "changed" in it["data"])
    ended = next(it["time"] for it in events if it["event"] == "stepDone" and it["step"] == 1 and it["time"] >= said)
    return done | {"found": ended - said}


def build_with_buildah(builder: Builder, context: pathlib.Path) -> dict[str, float]:
    started = time.monotonic()
    built = builder.build(context, "--no-cache", "--tls-verify=false")
    if built.exit_code != 0:
        sys.exit(f"the build failed:\n{built.output}")
    return {"build": time.monotonic() - started}


def measure(files: int, rounds: int, mirror: str) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {"imagebuild build": [], "imagebuild found": [], "buildah build": []}
    with tempfile.TemporaryDirectory(prefix="imagebuild-bench-") as name, Registry() as registry:
        folder = pathlib.Path(name)
        base = base_image(folder, files, mirror, registry)
        context = folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE.format(base=base))
        builders = {"imagebuild": Telling(folder / "imagebuild", mirror, kind="imagebuild"),
                    "buildah": Builder(folder / "buildah", mirror, kind="buildah")}
        ways = {"imagebuild": build_with_imagebuild, "buildah": build_with_buildah}
        try:
            for number in range(-1, rounds):  # The first of each fetches the base and is not counted.
                for kind, builder in builders.items():
                    os.sync()
                    for what, value in ways[kind](builder, context).items():
                        if number >= 0:
                            seconds[f"{kind} {what}"].append(round(value, 4))
                            print(f"{files:6} files  round {number + 1}  {kind:10}  {what:5}  {value:8.3f} s", flush=True)
        finally:
            for builder in builders.values():
                builder.clear()
    return seconds


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--files", type=int, nargs="+", default=[6_000, 20_000, 60_000])
    arguments.add_argument("--results", type=pathlib.Path)
    arguments = arguments.parse_args()

    table, found = cases.Table(), []
    sizes = sorted(arguments.files)
    with bases.mirror() as mirror:
        for files in sizes:
            seconds = measure(files, arguments.rounds, mirror.url)
            found.append(table.add("found after a RUN", f"10 of {files} files", seconds["imagebuild found"], most=MOST_SECONDS))
            table.add("two RUNs, all of the build", f"10 of {files} files", seconds["imagebuild build"], seconds["buildah build"])
    if len(sizes) > 1:
        table.add_growth("found after a RUN", sizes, found)
    print(f"\nmedians of {arguments.rounds}\n{table}")
    cases.write_results("snapshot", arguments.results, arguments.rounds, table)
    return 1 if table.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
