#!/usr/bin/python3
"""Watches the memory of every process of a build while a 1 GiB file goes into a layer; each must stay below 256 MiB.

    bench/memory.py [--mebibytes 1024] [--limit 256]
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
os.environ.setdefault("IMAGEBUILD_BIN", str(TOP / "build/release/bin/imagebuild"))

import bases
from harness.builder import Builder
from harness.registry import Registry

CASES = {
    "copied from the context": "FROM busybox:1.35\nCOPY big /big\n",
    "copied from a stage": "FROM busybox:1.35 AS source\nCOPY big /big\nRUN true\nFROM busybox:1.35\nCOPY --from=source /big /big\n",
    "written by a RUN": "FROM busybox:1.35\nRUN head -c {bytes} /dev/urandom > /big\n",
}


class Watch:
    """Reads the high-water mark of a process and of everything it starts, again and again, until told to stop."""

    def __init__(self, process: int):
        self._known = {process}
        self.peak_kib: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> dict[str, int]:
        self._ended.set()
        self._thread.join()
        return self.peak_kib

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            for status in self._statuses():
                if status.get("VmHWM") and (int(status["PPid"]) in self._known or int(status["Pid"]) in self._known):
                    self._known.add(int(status["Pid"]))  # stays known when its parent ends before it
                    kib = int(status["VmHWM"].split()[0])
                    self.peak_kib[status["Name"]] = max(kib, self.peak_kib.get(status["Name"], 0))

    def _statuses(self):
        for path in sorted(pathlib.Path("/proc").glob("[0-9]*/status"), key=lambda path: int(path.parent.name)):
            try:
                yield dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
            except OSError:
                continue  # it has ended


def watch_build(dockerfile: str, mebibytes: int, mirror: str, registry: Registry) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="imagebuild-memory-") as name:
        folder = pathlib.Path(name)
        context = folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(dockerfile.format(bytes=mebibytes << 20))
        with open("/dev/urandom", "rb") as source, open(context / "big", "wb") as big:
            for _ in range(mebibytes):
                big.write(source.read(1 << 20))
        log = folder / "log"
        builder = Builder(folder, mirror, kind="imagebuild")
        with open(log, "w") as output:
            build = builder.start(context, tag=f"{registry.host}/team/big:1", stdout=output)
            watch = Watch(build.pid)
            _, status, usage = os.wait4(build.pid, 0)
            build.returncode = os.waitstatus_to_exitcode(status)
        peaks = watch.stop()
        if build.returncode != 0:
            sys.exit(f"the build failed:\n{log.read_text()}")
        # The kernel's own record, of the build and of what it waited for: no short-lived peak escapes it.
        peaks["kernel's record"] = usage.ru_maxrss
        return peaks


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mebibytes", type=int, default=1024)
    arguments.add_argument("--limit", type=int, default=256)
    arguments = arguments.parse_args()
    highest = 0
    with bases.mirror() as mirror:
        for case, dockerfile in CASES.items():
            with Registry() as registry:
                peaks = watch_build(dockerfile, arguments.mebibytes, mirror.url, registry)
            print(f"{arguments.mebibytes} MiB {case}:", flush=True)
            for process, kib in sorted(peaks.items(), key=lambda item: -item[1]):
                print(f"  {process:20} {kib / 1024:7.1f} MiB")
            highest = max(highest, *peaks.values())
    print(f"highest peak {highest / 1024:.1f} MiB, limit {arguments.limit} MiB")
    return 0 if highest <= arguments.limit * 1024 else 1


if __name__ == "__main__":
    sys.exit(main())
