"""What the benchmarks share: times and medians, a table with aims and ratios, growth with size, the results as JSON."""

import datetime
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import machine

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))
os.environ.setdefault("IMAGEBUILD_BIN", str(TOP / "build/release/bin/imagebuild"))

# Beyond this, time grows faster than the work: log(time ratio) / log(work ratio), with room for noise.
MOST_GROWTH = 1.15


def programs() -> pathlib.Path:
    """The folder of the programs that are measured."""
    return pathlib.Path(os.environ["IMAGEBUILD_BIN"]).resolve().parent


def timed(work) -> tuple[float, object]:
    """Seconds, and what `work` returned. What earlier work left to be written is on the disk before it starts."""
    os.sync()
    started = time.monotonic()
    result = work()
    return time.monotonic() - started, result


def cpu_seconds() -> float:
    """Of all processes so far that this one started and waited for, and of those they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Table:
    """Rows of one quantity each: ours, a peer's beside it, their ratio, and what was aimed at."""

    def __init__(self):
        self.rows: list[dict] = []

    def add(self, case: str, size: str, ours: list[float], peer: list[float] = (), unit: str = "s", most: float | None = None,
            most_ratio: float | None = None) -> float:
        """Adds the medians of the samples and returns ours."""
        value = statistics.median(ours)
        beside = statistics.median(peer) if peer else None
        ratio = value / beside if peer else None
        met = all(aim is None or got <= aim for got, aim in ((value, most), (ratio, most_ratio)) if got is not None)
        self.rows.append({"case": case, "size": size, "unit": unit, "ours": value, "peer": beside, "ratio": ratio, "most": most,
                          "most ratio": most_ratio, "met": met if most is not None or most_ratio is not None else None,
                          "samples": list(ours), "peer samples": list(peer)})
        return value

    def add_growth(self, case: str, work: list[float], ours: list[float]) -> None:
        """The exponent with which the cost grows from the smallest to the largest size."""
        exponent = math.log(max(ours[-1], 1e-9) / max(ours[0], 1e-9)) / math.log(work[-1] / work[0])
        self.rows.append({"case": case, "size": f"work ×{work[-1] / work[0]:.3g} costs ×{ours[-1] / ours[0]:.3g}", "unit": "", "ours": exponent,
                          "peer": None, "ratio": None, "most": MOST_GROWTH, "most ratio": None, "met": exponent <= MOST_GROWTH,
                          "samples": list(ours), "peer samples": []})

    def missed(self) -> list[str]:
        return [f"{row['case']}, {row['size']}" for row in self.rows if row["met"] is False]

    def __str__(self) -> str:
        lines = [f"{'case':34} {'size':30} {'imagebuild':>12} {'peer':>12} {'ratio':>7}  aim"]
        for row in self.rows:
            aims = [f"≤ {_number(row['most'])} {row['unit']}".strip()] if row["most"] is not None else []
            aims += [f"ratio ≤ {row['most ratio']:g}"] if row["most ratio"] is not None else []
            lines.append(f"{row['case']:34} {row['size']:30} {_shown(row['ours'], row['unit'])} {_shown(row['peer'], row['unit'])} "
                         f"{'' if row['ratio'] is None else format(row['ratio'], '.2f'):>7}  {', '.join(aims)}"
                         f"{'  MISSED' if row['met'] is False else ''}".rstrip())
        return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 10 and value != int(value) else f"{value:.4g}"


def _shown(value: float | None, unit: str) -> str:
    return f"{'' if value is None else _number(value) + ' ' + unit:>12}"


def version(*command: str) -> str:
    said = subprocess.run(command, capture_output=True, text=True, cwd=TOP).stdout.strip()
    return said.splitlines()[0] if said else "unknown"


def write_results(name: str, path: pathlib.Path | None, rounds: int, table: Table, more: dict | None = None) -> None:
    """Keeps the table in bench/results, or where `path` says, and says where."""
    when = datetime.datetime.now(datetime.timezone.utc)
    path = path or TOP / f"bench/results/{name}-{when:%Y%m%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "when": when.isoformat(timespec="seconds"), "commit": version("git", "rev-parse", "HEAD"), "rounds": rounds,
        "machine": machine.description(),
        "table": table.rows, **(more or {})}, indent=2) + "\n")
    print(f"written to {path}; {machine.stolen():.0%} of the CPU time was taken by others on the host")
