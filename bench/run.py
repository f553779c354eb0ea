#!/usr/bin/python3
"""Times the C example beside Buildah: cold (empty stores) and with no change, from the same local registry.

    bench/run.py [--rounds 5] [--results FILE]

Both take turns in each round. A build is everything from the Dockerfile to the image being in the registry.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
os.environ.setdefault("IMAGEBUILD_BIN", str(TOP / "build/release/bin/imagebuild"))

import bases
from harness.builder import Builder
from harness.registry import Registry

CONTEXT = TOP / "examples/c-static"
KINDS = ("imagebuild", "buildah")
CASES = ("cold", "no change")


def timed(builder: Builder, tag: str) -> float:
    os.sync()  # nobody pays for the writes of the one before
    started = time.monotonic()
    built = builder.build(CONTEXT, tag=tag)
    seconds = time.monotonic() - started
    if built.exit_code != 0:
        sys.exit(f"the build failed:\n{built.output}")
    return seconds


def one_round(kind: str, mirror: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="imagebuild-bench-") as folder, Registry() as registry:
        builder = Builder(pathlib.Path(folder), mirror, kind=kind)
        try:
            return {case: timed(builder, f"{registry.host}/team/app:1") for case in CASES}
        finally:
            builder.clear()


def version(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, cwd=TOP).stdout.strip().splitlines()[0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--results", type=pathlib.Path)
    arguments = arguments.parse_args()

    seconds = {kind: {case: [] for case in CASES} for kind in KINDS}
    with bases.mirror() as mirror:
        for number in range(arguments.rounds):
            for kind in KINDS:
                for case, value in one_round(kind, mirror.url).items():
                    seconds[kind][case].append(round(value, 3))
                    print(f"round {number + 1}  {kind:10}  {case:9}  {value:7.3f} s", flush=True)

    median = {kind: {case: statistics.median(values) for case, values in cases.items()} for kind, cases in seconds.items()}
    ratio = {case: round(median["imagebuild"][case] / median["buildah"][case], 3) for case in CASES}
    print(f"\nmedian of {arguments.rounds}   imagebuild    buildah    ratio")
    for case in CASES:
        print(f"{case:11}  {median['imagebuild'][case]:9.3f} s {median['buildah'][case]:8.3f} s {ratio[case]:8.2f}")

    when = datetime.datetime.now(datetime.timezone.utc)
    results = arguments.results or TOP / f"bench/results/{when:%Y%m%d-%H%M%S}.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({
        "when": when.isoformat(timespec="seconds"), "commit": version("git", "rev-parse", "HEAD"),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release()}, "buildah": version("buildah", "--version"),
        "seconds": seconds, "median": median, "ratio": ratio}, indent=2) + "\n")
    print(f"written to {results}")


if __name__ == "__main__":
    main()
