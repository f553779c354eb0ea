#!/usr/bin/python3
"""Stages that run nothing are computed, others copy within a container: both ways must give the same files.

Builds every case that has no RUN twice: as it is, and with a RUN at its end that does nothing.

    twins.py [copy add/tar …]      default: every case
"""

import concurrent.futures
import dataclasses
import pathlib
import re
import sys
import tempfile

import case_file
import run
from case_folder import write
from comparing import compare

_SCRATCH = re.compile(r"(?im)^from scratch")


def computed_twin(case: case_file.Case) -> case_file.Case | None:
    """The case on a base that can run something; None if it has no twin."""
    text = case.dockerfile
    if text is None or case.fails or case.no_twin or case.bases or re.search(r"(?im)^\s*(run|user|onbuild|shell)\b", text) or "<<" in text or "@" in text:
        return None
    return dataclasses.replace(case, dockerfile=_SCRATCH.sub("FROM busybox:1.35", text))


def run_twin(computed: case_file.Case) -> case_file.Case:
    return dataclasses.replace(computed, dockerfile=computed.dockerfile.rstrip("\n") + '\nRUN ["/bin/true"]\n')


class Twins(run.Run):
    def differences(self, case: case_file.Case) -> list[str]:
        """What the twins of the case do not share, the Dockerfile in their contexts aside."""
        images = []
        computed = computed_twin(case)
        for name, twin in (("computed", computed), ("run", run_twin(computed))):
            folder = self._folder / f"{case.name.replace('/', '-')}-{name}".lower()
            write(twin, folder)
            outcome = self._builders.imagebuild(twin, folder)
            if outcome.image is None:
                return [f"{name}: the build failed:\n{outcome.output.strip()}"]
            images.append((outcome.image.tree(), {}))
        found = compare(*images, history_below=0)
        return [str(difference) for difference in found if not re.search(r"Dockerfile content$", difference.key)]


def main(chosen: list[str]) -> int:
    cases = [case for case in map(case_file.read, case_file.names(chosen)) if not case.no_oracle and computed_twin(case)]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="imagebuild-twins-", ignore_cleanup_errors=True) as folder:
        twins = Twins(pathlib.Path(folder), set(), update=False, show=False)
        try:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for case, found in zip(cases, pool.map(twins.differences, cases)):
                    failed += bool(found)
                    for line in found:
                        print(f"--- {case.name}\n    {line} (ours: computed; other: with a RUN)")
        finally:
            twins.close()
    print(f"{len(cases)} twins, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    if reason := run.cannot_run():
        print(reason)
        sys.exit(run.SKIPPED)
    sys.exit(main(sys.argv[1:]))
