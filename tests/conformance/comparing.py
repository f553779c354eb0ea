"""What differs between our image and the oracle's: key → both values. Keys are what differences.yaml names."""

import dataclasses
import re

from rendering import config_members, members_of
from tree import Tree, hard_links

_NOP = re.compile(r"(?:/bin/sh -c )?#\(nop\)\s*(?P<word>[A-Z]+)")
_WORD = re.compile(r"(?P<word>ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)\b")


@dataclasses.dataclass(frozen=True)
class Difference:
    key: str  # such as "tree /app mode", "config Env", "history"
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.key}\n      ours:  {self.ours}\n      other: {self.theirs}"


def compare(ours: tuple[Tree, dict], theirs: tuple[Tree, dict], history_below: int) -> list[Difference]:
    return _trees(ours[0], theirs[0]) + _configs(ours[1], theirs[1], history_below)


def _trees(ours: Tree, theirs: Tree) -> list[Difference]:
    found, our_links, their_links = [], hard_links(ours), hard_links(theirs)
    for path in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(path), theirs.get(path)
        if mine is other and our_links.get(path) == their_links.get(path):
            continue
        one = members_of(mine, our_links.get(path)) if mine else {}
        two = members_of(other, their_links.get(path)) if other else {}
        if not mine or not other:
            found.append(Difference(f"tree /{path} exists", " ".join(one.values()) or "nothing", " ".join(two.values()) or "nothing"))
            continue
        for member in sorted(one.keys() | two.keys()):
            if one.get(member) != two.get(member):
                found.append(Difference(f"tree /{path} {member}", one.get(member, "none"), two.get(member, "none")))
    return found


def _configs(ours: dict, theirs: dict, history_below: int) -> list[Difference]:
    one, two = config_members(ours), config_members(theirs)
    found = [Difference(f"config {member}", one.get(member, "none"), two.get(member, "none"))
             for member in one.keys() | two.keys() if one.get(member) != two.get(member)]
    mine, other = _instructions(ours, history_below), _instructions(theirs, history_below)
    if mine != other:
        found.append(Difference("history", " ".join(mine), " ".join(other)))
    return found


def _instructions(config: dict, below: int) -> list[str]:
    """Every builder words its history in its own way; which instructions it speaks of is comparable."""
    words = []
    for entry in (config.get("history") or [])[below:]:
        text = entry.get("created_by", "")
        found = _NOP.match(text) or _WORD.match(text)
        words.append(found["word"] if found else "RUN")
    return words
