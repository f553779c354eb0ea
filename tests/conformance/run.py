#!/usr/bin/python3
"""Builds the cases with imagebuild, and holds the images against their goldens and against those that Buildah builds.

    run.py                      every case, both ways; prints the pass table
    run.py copy add/tar_gz      a topic, a case
    run.py --against golden     without Buildah
    run.py --update copy        writes the goldens of cases that agree
    run.py --show copy/name     prints what the image of a case is

IMAGEBUILD_BIN names the program under test. README.md says how cases are written.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import sys
import tempfile

import case_file
import stores  # puts tests/e2e on the path
from case_folder import write
from builders import Builders, Outcome, buildah_is_installed
from comparing import Difference, compare
from differences import Row, idle, read, unexplained
from rendering import render
from serving import Servers
from verdict import Verdict, expected_problems, golden_problems, table

# The exit code of what cannot be done here; in CI everything must be possible.
SKIPPED = 1 if os.environ.get("CI") == "true" else 77

_PLACE = re.compile(r"\S*[Dd]ockerfile\S*:\d+|\S*\.dockerignore: line \d+")


class Run:
    def __init__(self, folder: pathlib.Path, against: set[str], update: bool, show: bool):
        self._folder, self._against, self._update, self._show = folder, against, update, show
        self.rows: list[Row] = read()
        self._bases = stores.Bases(folder)
        self._builders = Builders(folder, self._bases.mirrors)
        self._servers = Servers(folder)

    def close(self) -> None:
        self._servers.close()
        self._builders.close()
        self._bases.close()

    def prepare(self, cases: list[case_file.Case]) -> None:
        for case in cases:
            for name, text in case.bases.items():
                self._bases.make(name, text)

    def judge(self, case: case_file.Case) -> Verdict:
        folder = self._folder / case.name.replace("/", "-").lower()
        try:
            write(case, folder, lambda text: self._servers.said(text, folder))
            self._servers.offer(folder)
            return self._judge(case, folder)
        except Exception as failure:  # one broken case must not hide the others
            return Verdict(case.name, [f"{type(failure).__name__}: {failure}"])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _judge(self, case: case_file.Case, folder: pathlib.Path) -> Verdict:
        ours = self._builders.imagebuild(case, folder)
        verdict = Verdict(case.name)
        theirs = None
        if "buildah" in self._against and not case.no_oracle:
            theirs = self._builders.buildah(case, folder)
        if case.fails is not None:
            self._judge_failure(case, ours, theirs, verdict)
        elif ours.image is None:
            verdict.problems.append(f"our build failed:\n{ours.output.strip()}")
        else:
            self._judge_image(case, folder, ours, theirs, verdict)
        return verdict

    def _judge_failure(self, case: case_file.Case, ours: Outcome, theirs: Outcome | None, verdict: Verdict) -> None:
        if ours.image is not None:
            verdict.problems.append("our build must fail, and did not")
        elif ours.exit_code != 1:
            verdict.problems.append(f"our build must end with 1, and ended with {ours.exit_code}:\n{ours.output.strip()}")
        elif not re.search(case.fails, ours.output):
            verdict.problems.append(f"our message does not say {case.fails!r}:\n{ours.output.strip()}")
        elif case.fails_in_file and not _PLACE.search(ours.output):
            verdict.problems.append(f"our message names no line:\n{ours.output.strip()}")
        if self._show:
            print(ours.output)
        if theirs is None:
            return
        verdict.compared = True
        found = [Difference("fails", "yes", "no")] if theirs.image is not None else []
        self._explain(case, found, verdict)

    def _judge_image(self, case: case_file.Case, folder: pathlib.Path, ours: Outcome, theirs: Outcome | None, verdict: Verdict) -> None:
        text = case.dockerfile or "".join(member.content.decode() for member in case.members if member.path == case.dockerfile_path)
        base_name, base, history_below = self._bases.base_of(ours.image, " ".join([text, *case.build_args, *case.flags]))
        verdict.problems += ours.image.flaws()
        tree = ours.image.tree()
        rendered = self._servers.unsaid(render(tree, base, base_name, ours.image.config, history_below), folder)
        if self._show:
            print(rendered)
        if case.expect is not None:
            verdict.problems += expected_problems(case.expect, rendered)
        if theirs is not None and theirs.image is None:
            self._explain(case, [Difference("builds", "yes", f"no: {theirs.output.strip()[-600:]}")], verdict)
        elif theirs is not None:
            self._explain(case, compare((tree, ours.image.config), (theirs.image.tree(), theirs.image.config), history_below), verdict)
        verdict.compared = theirs is not None
        judged = case.expect is not None or theirs is not None
        if "golden" in self._against or self._update:
            verdict.problems += golden_problems(case.name, rendered, write=self._update and judged and not verdict.problems)

    def _explain(self, case: case_file.Case, found: list[Difference], verdict: Verdict) -> None:
        left, verdict.by_rule = unexplained(self.rows, case.name, found)
        if len(left) > 25:
            left = left[:25] + [Difference(f"… and {len(left) - 25} more", "", "")]
        verdict.problems += [str(difference) for difference in left]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--against", choices=("golden", "buildah"), action="append")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    if reason := cannot_run(needs_buildah="buildah" in (chosen.against or ())):
        print(reason)
        return SKIPPED
    against = set(chosen.against or (["golden", "buildah"] if buildah_is_installed() else ["golden"]))
    if chosen.update or (chosen.show and not chosen.against):
        against = {"buildah"} if buildah_is_installed() else set()
    names = case_file.names(chosen.cases)
    with tempfile.TemporaryDirectory(prefix="imagebuild-conformance-", ignore_cleanup_errors=True) as folder:
        run = Run(pathlib.Path(folder), against, chosen.update, chosen.show)
        try:
            cases = [case_file.read(name) for name in names]
            run.prepare(cases)
            with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
                verdicts = list(pool.map(run.judge, cases))
        finally:
            run.close()
    idle_rows = []
    if "buildah" in against:
        idle_rows = idle(run.rows, set(names) - {case.name for case in cases if case.no_oracle}, case_file.names())
    print(table(verdicts, idle_rows))
    return 1 if idle_rows or any(verdict.problems for verdict in verdicts) else 0


def cannot_run(needs_buildah: bool = False) -> str:
    if os.geteuid() != 0:
        return "skipped: needs root: containers are run and base images made"
    if needs_buildah and not buildah_is_installed():
        return "skipped: buildah is not installed"
    return ""


if __name__ == "__main__":
    sys.exit(main())
