#!/usr/bin/python3
"""Times a tree on its way through COPY into an image and to a registry, beside Buildah and beside what cannot be left out.

    bench/layers.py [--rounds 5] [--sizes 64:3000 256:12000 1024:50000] [--compression gzip] [--results FILE]

A size is MEBIBYTES:FILES. Both programs take turns, with an empty store and an empty registry each time. "layer" is the
time of the COPY alone, in which the layer is made, in a build that pushes nothing: a push sends the layer while it is
made, and the registry then works on the same cores. "limit" is the slower of SHA-256 and the compressor on all cores,
each done alone in the same round. "everything" is all of it on all cores: reading the files from the page cache, SHA-256 of
tar and blob, the compressor and writing the blob, in CPU seconds that the cores share; "share" is how much of the layer's
time that is. (The layer also hashes each file, for the cache.) "disk" reads the files one by one and writes as much as the layer has: no program that reads
files is much faster, but Python is a little slower than others, so it is shown and not aimed at. Ends with 1 if an aim was
missed.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time

import cases
import trees
import unavoidable

import bases
from harness.builder import Builder
from harness.registry import Registry

MOST_MIB = 256
MOST_RATIO = 0.4
LEAST_OF_LIMIT = 0.8
DOCKERFILE = "FROM busybox:1.35\nCOPY tree /tree\n"


class Telling(Builder):
    """Says when each step began and ended."""

    def command(self, context, *flags, tag="") -> list[str]:
        return ["json" if word == "plain" else word for word in super().command(context, *flags, tag=tag)]


def apart(work, *arguments):
    """Does it in another process: what this one once held, the kernel counts as memory of the programs it starts."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(work, *arguments).result()


def run_imagebuild(folder: pathlib.Path, context: pathlib.Path, compression: str, mirror: str, tag: str) -> dict:
    builder = Telling(folder / "imagebuild", mirror, kind="imagebuild")
    os.sync()  # nobody pays for the writes of the one before
    started = time.monotonic()
    build = builder.start(context, "--compression", compression, tag=tag)
    with build.stdout:
        events = [json.loads(line) for line in build.stdout]
    _, status, usage = os.wait4(build.pid, 0)
    seconds = time.monotonic() - started
    build.returncode = os.waitstatus_to_exitcode(status)
    if build.returncode != 0:
        sys.exit(f"the build failed: {events[-1:]}")
    builder.clear()
    at = {it["event"]: it for it in events}
    return {"build": seconds, "layer": at["stepDone"]["time"] - at["stepStarted"]["time"],
            "CPU": usage.ru_utime + usage.ru_stime, "peak MiB": usage.ru_maxrss / 1024, "digest": at["built"]["digest"]}


def build_with_imagebuild(folder: pathlib.Path, context: pathlib.Path, compression: str, mirror: str) -> dict:
    with Registry() as registry:
        pushed = run_imagebuild(folder / "pushed", context, compression, mirror, f"{registry.host}/bench/layers:1")
    alone = run_imagebuild(folder / "alone", context, compression, mirror, "")
    return pushed | {"layer": alone["layer"]}


def build_with_buildah(folder: pathlib.Path, context: pathlib.Path, mirror: str) -> float:
    builder = Builder(folder / "buildah", mirror, kind="buildah")
    with Registry() as registry:
        os.sync()
        started = time.monotonic()
        built = builder.build(context, tag=f"{registry.host}/bench/layers:1", timeout=1200)
        seconds = time.monotonic() - started
        if built.exit_code != 0:
            sys.exit(f"the build failed:\n{built.output}")
    builder.clear()
    return seconds


def one_round(context: pathlib.Path, compression: str, mirror: str) -> dict:
    with tempfile.TemporaryDirectory(prefix="imagebuild-bench-") as name:
        folder = pathlib.Path(name)
        ours = build_with_imagebuild(folder, context, compression, mirror)
        parts = apart(unavoidable.seconds, context / "tree", compression, folder)
        limit = max(parts["SHA-256"], parts[compression])
        return ours | {"Buildah": build_with_buildah(folder, context, mirror), "limit": limit, "parts": parts}


def measure(mebibytes: int, files: int, rounds: int, compression: str, mirror: str) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="imagebuild-bench-") as name:
        context = pathlib.Path(name)
        apart(trees.make, context / "tree", files, mebibytes)
        (context / "Dockerfile").write_text(DOCKERFILE)
        done = []
        for number in range(rounds):
            done.append(one_round(context, compression, mirror))
            it = done[-1]
            parts = ", ".join(f"{part} {value:.2f} s" for part, value in it["parts"].items())
            print(f"{mebibytes:5} MiB  round {number + 1}  {it['build']:7.2f} s (layer {it['layer']:.2f} s, CPU {it['CPU']:.2f} s, "
                  f"{it['parts']['everything'] / it['layer']:.0%} of it everything that must be, "
                  f"{it['peak MiB']:.0f} MiB)  Buildah {it['Buildah']:7.2f} s  [{parts}]", flush=True)
    if len({it["digest"] for it in done}) != 1:
        sys.exit("the image was another one in another round")
    return done


def add_rows(table: cases.Table, compression: str, size: str, done: list[dict]) -> None:
    every = {what: [it[what] for it in done] for what in done[0]}
    table.add(f"tree to registry, {compression}", size, every["build"], every["Buildah"], most_ratio=MOST_RATIO)
    table.add(f"the layer, and the limit ({compression})", size, every["layer"], every["limit"], most_ratio=1 / LEAST_OF_LIMIT)
    everything = [it["parts"]["everything"] for it in done]
    table.add(f"the layer, and everything on all cores ({compression})", size, every["layer"], everything)
    for part in done[0]["parts"]:
        table.add(f"  {part} alone", size, [it["parts"][part] for it in done])
    table.add("CPU of the build", size, every["CPU"])
    table.add("peak memory", size, every["peak MiB"], unit="MiB", most=MOST_MIB)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--sizes", nargs="+", default=["64:3000", "256:12000", "1024:50000"])
    arguments.add_argument("--compression", choices=("gzip", "zstd"), default="gzip")
    arguments.add_argument("--results", type=pathlib.Path)
    arguments = arguments.parse_args()

    table, rounds = cases.Table(), {}
    sizes = sorted(tuple(map(int, size.split(":"))) for size in arguments.sizes)
    with bases.mirror() as mirror:
        for mebibytes, files in sizes:
            rounds[mebibytes] = measure(mebibytes, files, arguments.rounds, arguments.compression, mirror.url)
            add_rows(table, arguments.compression, f"{mebibytes} MiB, {files} files", rounds[mebibytes])
    if len(sizes) > 1:
        cpu = [statistics.median(it["CPU"] for it in rounds[mebibytes]) for mebibytes, _ in sizes]
        table.add_growth("CPU of the build", [mebibytes for mebibytes, _ in sizes], cpu)
    print(f"\nmedians of {arguments.rounds}\n{table}")
    cases.write_results(f"layers-{arguments.compression}", arguments.results, arguments.rounds, table, {"each": rounds})
    return 1 if table.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
