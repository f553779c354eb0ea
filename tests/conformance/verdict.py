"""What is found about a case, its golden, and the table of all."""

import collections
import dataclasses
import difflib
import pathlib

GOLDENS = pathlib.Path(__file__).resolve().parent / "golden"


@dataclasses.dataclass
class Verdict:
    name: str
    problems: list[str] = dataclasses.field(default_factory=list)
    compared: bool = False  # with what Buildah built
    by_rule: bool = False  # and rows of differences.yaml were needed, other than those for all cases


def golden_path(name: str) -> pathlib.Path:
    return GOLDENS / f"{name}.txt"


def golden_problems(name: str, rendered: str, write: bool) -> list[str]:
    """How the image differs from its golden; or none, and the golden is now this."""
    path = golden_path(name)
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered)
    if not path.exists():
        return ["it has no golden: look at `run.py --show`, then run.py --update"]
    return _diff(path.read_text(), rendered, "golden")


def expected_problems(expected: str, rendered: str) -> list[str]:
    """How the image differs from what the case expects; config and history count only where the case speaks of them."""
    for word in ("config ", "history "):
        if f"\n{word}" not in f"\n{expected}":
            rendered = "".join(line for line in rendered.splitlines(keepends=True) if not line.startswith(word))
    return _diff(expected.strip() + "\n", rendered, "expected")


def _diff(wanted: str, got: str, name: str) -> list[str]:
    lines = difflib.unified_diff(wanted.splitlines(), got.splitlines(), name, "ours", lineterm="", n=0)
    text = "\n".join(line for line in lines if not line.startswith("@@"))
    return [text] if text else []


def table(verdicts: list[Verdict], idle_rows: list) -> str:
    """The pass table, and after it every failure in full."""
    topics = collections.defaultdict(list)
    for verdict in verdicts:
        topics[verdict.name.partition("/")[0]].append(verdict)
    rows = [(topic, *_counts(found)) for topic, found in topics.items()] + [("all", *_counts(verdicts))]
    lines = [f"{'topic':14} {'cases':>6} {'agree with Buildah':>19} {'by documented rule':>19} {'as expected':>12} {'failed':>7}"]
    lines += [f"{topic:14} {cases:6} {agree:19} {rule:19} {expected:12} {failed:7}" for topic, cases, agree, rule, expected, failed in rows]
    for verdict in verdicts:
        if verdict.problems:
            lines.append(f"\n--- {verdict.name}")
            lines += [f"    {line}" for problem in verdict.problems for line in problem.splitlines()]
    for row in idle_rows:
        lines.append(f"\n--- differences.yaml: this row explains nothing any more: cases {row.cases}, what {row.what}")
    return "\n".join(lines)


def _counts(verdicts: list[Verdict]) -> tuple[int, int, int, int, int]:
    good = [verdict for verdict in verdicts if not verdict.problems]
    agree = sum(verdict.compared and not verdict.by_rule for verdict in good)
    rule = sum(verdict.compared and verdict.by_rule for verdict in good)
    return len(verdicts), agree, rule, len(good) - agree - rule, len(verdicts) - len(good)
