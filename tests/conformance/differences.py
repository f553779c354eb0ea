"""The reviewed list of where we follow BuildKit's documented behaviour and not the oracle: differences.yaml."""

import dataclasses
import fnmatch
import pathlib

import yaml

from comparing import Difference

_FILE = pathlib.Path(__file__).resolve().parent / "differences.yaml"
_MEMBERS, _OPTIONAL = {"cases", "what", "ours", "why"}, {"values"}


@dataclasses.dataclass
class Row:
    cases: list[str]  # globs of case names
    what: list[str]  # globs of Difference.key
    ours: str
    why: str
    values: list[str] = dataclasses.field(default_factory=list)  # [ours, Buildah's], if only these are meant
    explained: int = 0

    def explains(self, case: str, difference: Difference) -> bool:
        return (any(fnmatch.fnmatchcase(case, glob) for glob in self.cases)
                and any(fnmatch.fnmatchcase(difference.key, glob) for glob in self.what)
                and (not self.values or self.values == [difference.ours, difference.theirs]))


def read() -> list[Row]:
    rows = []
    for row in yaml.safe_load(_FILE.read_text()) or []:
        if set(row) - _OPTIONAL != _MEMBERS:
            raise ValueError(f"differences.yaml: a row needs {sorted(_MEMBERS)} and may have {sorted(_OPTIONAL)}: {row}")
        rows.append(Row(_list(row["cases"]), _list(row["what"]), row["ours"], row["why"], row.get("values", [])))
    return rows


def _list(value) -> list[str]:
    return value if isinstance(value, list) else [value]


def unexplained(rows: list[Row], case: str, found: list[Difference]) -> tuple[list[Difference], bool]:
    """The differences that no row explains, and whether a row was needed that speaks of this case in particular.

    The rows remember what they explained.
    """
    left, particular = [], False
    for difference in found:
        row = next((row for row in rows if row.explains(case, difference)), None)
        if row:
            row.explained += 1
            particular |= row.cases != ["*/*"]
        else:
            left.append(difference)
    return left, particular


def idle(rows: list[Row], ran: set[str], every: list[str]) -> list[Row]:
    """Rows that explained nothing although every case that they speak of ran."""
    def concerns(row: Row) -> list[str]:
        return [case for case in every if any(fnmatch.fnmatchcase(case, glob) for glob in row.cases)]
    return [row for row in rows if not row.explained and set(concerns(row)) <= ran]
