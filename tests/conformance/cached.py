#!/usr/bin/python3
"""What a cache gives is what a build without one makes, byte for byte.

Builds every case without a cache, then with the cache that this left: nothing may run, and the image must be the same.
Then again with a cache that has lost every whole stage, so that single steps are replayed and the rest runs.

    cached.py [copy add/tar …]     default: every case
    cached.py --every 20           each 20th case
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import sys
import tempfile

import case_file
import run
from case_folder import write

# Cases that cannot be cached as a whole, and why.
NOT_WHOLE: dict[str, str] = {}


class Cached(run.Run):
    def problems(self, case: case_file.Case) -> list[str]:
        folder = self._folder / case.name.replace("/", "-").lower()
        try:
            write(case, folder, lambda text: self._servers.said(text, folder))
            self._servers.offer(folder)
            return self._problems(case, folder)
        except Exception as failure:  # one broken case must not hide the others
            return [f"{type(failure).__name__}: {failure}"]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _problems(self, case: case_file.Case, folder: pathlib.Path) -> list[str]:
        store = self._store(folder)
        images, found = {}, []
        for name, flags in (("cold", ["--no-cache"]), ("cached", ["--progress", "json"]), ("replayed", [])):
            if name == "replayed":
                forget_stages(store)
            outcome = self._builders.imagebuild(case, folder, *flags, into=name, store=store)
            if outcome.image is None:
                return found + [f"{name}: the build failed:\n{outcome.output.strip()}"]
            images[name] = (folder / name / "index.json").read_bytes()
            if images[name] != images["cold"]:
                found.append(f"{name}: another image than without a cache")
            if name == "cached" and case.name not in NOT_WHOLE:
                found += [f"stage {stage} was not cached" for stage in stages_run(outcome.output)]
        return found

    def _store(self, folder: pathlib.Path) -> pathlib.Path:
        """A store with a cache of its own; the unpacked bases are everybody's."""
        store = folder / "store"
        store.mkdir()
        for name in ("layers", "indexes", "tmp", "locks"):
            (self._folder / "store" / name).mkdir(parents=True, exist_ok=True)
            (store / name).symlink_to(self._folder / "store" / name)
        return store


def stages_run(output: str) -> list[str]:
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [event["stage"] for event in events if event["event"] == "stageStarted"]


def forget_stages(store: pathlib.Path) -> None:
    for record in (store / "cache/records").iterdir():
        if json.loads(record.read_text())["title"].endswith(": all of the stage"):
            record.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    if reason := run.cannot_run():
        print(reason)
        return run.SKIPPED
    cases = [case for case in map(case_file.read, case_file.names(chosen.cases)) if case.fails is None][::chosen.every]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="imagebuild-cached-", ignore_cleanup_errors=True) as folder:
        cached = Cached(pathlib.Path(folder), set(), update=False, show=False)
        try:
            cached.prepare(cases)
            with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
                for case, found in zip(cases, pool.map(cached.problems, cases)):
                    failed += bool(found)
                    for line in found:
                        print(f"--- {case.name}\n    {line}", flush=True)
        finally:
            cached.close()
    print(f"{len(cases)} cases, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
