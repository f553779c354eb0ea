#!/usr/bin/python3
"""Times builds beside Buildah, from the same local registry, and what needs no build at all.

    bench/run.py [--rounds 5] [--cases cold,rebuild,start] [--results FILE]

cold     the C example with empty stores, on bases of three sizes
rebuild  three stages: with no change, and with one source file changed, in contexts of three sizes
start    planning 50, 100 and 200 stages; --help; the stage program

Both tools take turns in each round. A build is everything from the Dockerfile to the image being in the registry.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import cases
import images
from cases import TOP, Table, timed
from harness.builder import Builder
from harness.registry import Registry

KINDS = ("imagebuild", "buildah")
_CONTEXT_FILES = (100, 1_000, 10_000)
_SETTLED_SECONDS = 61  # imagebuild reads files that are younger than a minute again (docs/design/0013).
_STAGES = (50, 100, 200)


class Bench:
    """Builders in one folder that goes at the end: for minutes after, a file system is slower for every deleted file."""

    def __init__(self, folder: pathlib.Path, mirror: Registry, target: Registry, compilers: list[images.Base], rounds: int):
        self._folder, self._mirror, self._target = folder, mirror, target
        self.compilers, self.rounds = compilers, rounds
        self._builders: list[Builder] = []

    def clear(self) -> None:
        for builder in self._builders:
            builder.clear()

    def fresh_builder(self, kind: str) -> Builder:
        folder = self._folder / f"{len(self._builders)}-{kind}"
        folder.mkdir()
        self._builders.append(Builder(folder, self._mirror.url, kind=kind))
        return self._builders[-1]

    def build(self, builder: Builder, context: pathlib.Path, name: str) -> float:
        seconds, built = timed(lambda: builder.build(context, tag=f"{self._target.host}/team/{name}:1"))
        if built.exit_code != 0:
            sys.exit(f"the build failed:\n{built.output}")
        return seconds

    def fresh_folder(self, name: str) -> pathlib.Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    @property
    def mirror_url(self) -> str:
        return self._mirror.url


def say(what: str, times: list[float]) -> None:
    print(f"{what}: {', '.join(f'{one:.3f}' for one in times)}", flush=True)


def cold(bench: Bench, table: Table) -> None:
    ours = []
    for base in bench.compilers:
        context = bench.fresh_folder(f"example-{base.megabytes}") / "context"
        shutil.copytree(TOP / "examples/c-static", context)
        dockerfile = (context / "Dockerfile").read_text()
        (context / "Dockerfile").write_text(dockerfile.replace("FROM gcc:12", f"FROM {base.name}"))
        seconds, cpu = ({kind: [] for kind in KINDS} for _ in range(2))
        for number in range(bench.rounds):
            for kind in KINDS:
                before = cases.cpu_seconds()
                seconds[kind].append(bench.build(bench.fresh_builder(kind), context, f"cold-{kind}-{base.megabytes}-{number}"))
                cpu[kind].append(cases.cpu_seconds() - before)
        for kind in KINDS:
            say(f"cold, {base.megabytes} MB, {kind}", seconds[kind])
        ours.append(table.add("cold C build", f"base of {base.megabytes} MB", *(seconds[kind] for kind in KINDS), most_ratio=0.35))
        table.add("  its CPU seconds", f"base of {base.megabytes} MB", *(cpu[kind] for kind in KINDS))
    table.add_growth("  growth", [base.megabytes for base in bench.compilers], ours)


_THREE_STAGES = """FROM {base} AS tool
WORKDIR /src
COPY tool ./
RUN cc -O2 -o tool main.c
FROM {base} AS service
WORKDIR /src
COPY service ./
RUN cc -O2 -o service main.c
FROM busybox:1.35
COPY --from=tool /src/tool /usr/bin/tool
COPY --from=service /src/service /usr/bin/service
COPY data /data
RUN test -x /usr/bin/tool -a -x /usr/bin/service
CMD ["service"]
"""


def three_stages(folder: pathlib.Path, base: str, files: int) -> pathlib.Path:
    """A context for three stages with about so many files; returns the source file to change."""
    (folder / "Dockerfile").write_text(_THREE_STAGES.format(base=base))
    for name in ("tool", "service", "data"):
        for number in range(files // 3):
            place = folder / name / f"{number // 100}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.txt").write_text(f"{name} {number}\n" * 100)
        if name != "data":
            (folder / name / "main.c").write_text("int main(void) { return 0; }\n")
    return folder / "service/main.c"


def rebuild(bench: Bench, table: Table) -> None:
    ours = {"no change": [], "one file changed": []}
    aims = {"no change": {"most_ratio": 1.0}, "one file changed": {"most_ratio": 0.5}}
    for files in _CONTEXT_FILES:
        context = bench.fresh_folder(f"stages-{files}")
        source = three_stages(context, bench.compilers[0].name, files)
        made = time.monotonic()
        builders = {kind: bench.fresh_builder(kind) for kind in KINDS}
        seconds = {case: {kind: [] for kind in KINDS} for case in ours}
        for kind, builder in builders.items():
            bench.build(builder, context, f"stages-{kind}-{files}")
        time.sleep(max(0.0, made + _SETTLED_SECONDS - time.monotonic()))
        for number in range(bench.rounds):
            for kind, builder in builders.items():
                # Once uncounted: how much of the context is still in memory depends on the machine and on the peer's time.
                bench.build(builder, context, f"stages-{kind}-{files}")
                seconds["no change"][kind].append(bench.build(builder, context, f"stages-{kind}-{files}"))
            source.write_text(f"int main(void) {{ return {number + 1}; }}\n")
            for kind, builder in builders.items():
                seconds["one file changed"][kind].append(bench.build(builder, context, f"stages-{kind}-{files}"))
        for case, by_kind in seconds.items():
            for kind in KINDS:
                say(f"{case}, {files} files, {kind}", by_kind[kind])
            most = 0.15 if case == "no change" else None
            ours[case].append(table.add(f"three stages, {case}", f"{files} files", *(by_kind[kind] for kind in KINDS), most=most, **aims[case]))
    for case in ours:
        table.add_growth(f"  growth, {case}", list(_CONTEXT_FILES), ours[case])


def many_stages(count: int) -> str:
    """A Dockerfile of ten lines a stage, each stage taking from the one before."""
    text = ""
    for number in range(count):
        before = f"COPY --from=s{number - 1} /src/s{number - 1}/out ./" if number else "COPY . ."
        text += (f"FROM busybox:1.35 AS s{number}\nARG VERSION={number}\nENV NAME=s{number} LABEL=v$VERSION\nWORKDIR /src/$NAME\n{before}\n"
                 f"RUN echo $NAME > out \\\n    && echo $LABEL >> out \\\n    && cat out\nLABEL stage=$NAME version=$LABEL\nRUN true\n")
    return text


def start(bench: Bench, table: Table) -> None:
    def milliseconds(*command) -> float:
        seconds, done = timed(lambda: subprocess.run([str(word) for word in command], capture_output=True, text=True))
        if done.returncode != 0:
            sys.exit(f"{command} failed:\n{done.stderr}")
        return seconds * 1000

    rounds, ours = max(bench.rounds, 5) * 3, []
    for count in _STAGES:
        folder = bench.fresh_folder(f"plan-{count}")
        (folder / "Dockerfile").write_text(many_stages(count))
        command = (cases.programs() / "imagebuild", "plan", "--registry-mirror", f"docker.io={bench.mirror_url}", folder)
        ours.append(table.add("plan", f"{count} stages, {count * 10} lines", [milliseconds(*command) for _ in range(rounds)], unit="ms",
                              most=50))
    table.add_growth("  growth", list(_STAGES), ours)
    for words, most in ((("imagebuild", "--help"), 20), (("imagebuild-stage", "--help"), 10)):
        program, *rest = words
        table.add(" ".join(words), "", [milliseconds(cases.programs() / program, *rest) for _ in range(rounds)], unit="ms", most=most)
    table.add("imagebuild-stage", "the static program's size", [os.stat(cases.programs() / "imagebuild-stage").st_size / 1e6], unit="MB", most=15)


CASES = {"cold": cold, "rebuild": rebuild, "start": start}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--cases", default=",".join(CASES))
    arguments.add_argument("--results", type=pathlib.Path)
    arguments = arguments.parse_args()

    table = Table()
    with contextlib.ExitStack() as stack:
        mirror, compilers = stack.enter_context(images.registry())
        target = stack.enter_context(Registry())
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagebuild-bench-")))
        bench = Bench(folder, mirror, target, compilers, arguments.rounds)
        stack.callback(bench.clear)
        for name in arguments.cases.split(","):
            CASES[name](bench, table)
    print(f"\nmedians of {arguments.rounds} rounds; the peer is Buildah\n{table}")
    cases.write_results("builds", arguments.results, arguments.rounds, table, {"buildah": cases.version("buildah", "--version")})


if __name__ == "__main__":
    main()
