"""Reads a case: one text file with options, a Dockerfile, and the files around it. README.md describes the format."""

import base64
import dataclasses
import functools
import json
import pathlib
import re

CASES = pathlib.Path(__file__).resolve().parent / "cases"

_HEADER = re.compile(r"-- (.+) --")
_WORD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_FLAGS, _VALUES = {"dir", "sparse", "base64", "no-newline"}, {"mode", "symlink", "hardlink", "size", "mtime", "owner", "tar", "fifo"}


class BadCase(Exception):
    """The file does not follow the format."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A file, folder or link below the case's folder, such as context/a."""
    path: str
    content: bytes
    attributes: dict[str, str]  # flags have the value ""
    xattrs: dict[str, str]


@dataclasses.dataclass
class Case:
    name: str  # topic/name
    says: str = ""
    dockerfile: str | None = None
    dockerfile_path: str = "context/Dockerfile"  # below the case's folder
    build_args: list[str] = dataclasses.field(default_factory=list)
    target: str = ""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    flags: list[str] = dataclasses.field(default_factory=list)  # for both tools
    own_flags: list[str] = dataclasses.field(default_factory=list)  # for imagebuild
    oracle_flags: list[str] = dataclasses.field(default_factory=list)
    no_oracle: str = ""  # why Buildah cannot say what is right
    no_cluster: str = ""  # why the case is not for the operator
    no_twin: str = ""  # why its image cannot run anything (twins.py)
    members: list[Member] = dataclasses.field(default_factory=list)
    bases: dict[str, str] = dataclasses.field(default_factory=dict)  # NAME:TAG → JSON
    expect: str | None = None
    fails: str | None = None
    fails_in_file: bool = True  # the message names file and line

    @property
    def topic(self) -> str:
        return self.name.partition("/")[0]


@functools.lru_cache
def _every() -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(CASES))[:-len(".case")] for path in CASES.glob("*/*.case")))


def names(patterns: list[str] | None = None) -> list[str]:
    """The names of all cases, or of those of a topic (`copy`), or of one (`copy/name`)."""
    every = list(_every())
    if not patterns:
        return every
    chosen = [name for name in every if any(name == pattern or name.startswith(f"{pattern}/") for pattern in patterns)]
    if not chosen:
        raise BadCase(f"no case is called {' or '.join(patterns)}")
    return chosen


def read(name: str) -> Case:
    text = (CASES / f"{name}.case").read_text(errors="surrogateescape")
    try:
        return parse(name, text)
    except (BadCase, ValueError) as failure:
        raise BadCase(f"{name}.case: {failure}") from None


def parse(name: str, text: str) -> Case:
    case = Case(name)
    lines = text.splitlines(keepends=True)
    if not lines or not lines[0].startswith("# "):
        raise BadCase("the first line must be a comment that says what the case shows")
    case.says = lines[0][2:].strip()
    sections: list[tuple[str, list[str]]] = []
    for line in lines[1:]:
        if header := _HEADER.fullmatch(line.rstrip("\n")):
            sections.append((header[1], []))
        elif sections:
            sections[-1][1].append(line.removeprefix("\\") if line.startswith("\\--") else line)
        elif line.strip() and not line.startswith("#"):
            raise BadCase(f"this is in no section: {line.strip()}")
    for header, content in sections:
        _take(case, header, "".join(content))
    if case.dockerfile is None and not any(member.path == case.dockerfile_path for member in case.members):
        raise BadCase("there is no Dockerfile")
    if case.no_oracle and case.expect is None and case.fails is None:
        raise BadCase("without an oracle the case must say what it expects")
    return case


def _take(case: Case, header: str, content: str) -> None:
    words = [_unquoted(word) for word in _WORD.findall(header)]
    if words[0] == "options":
        for line in content.splitlines():
            if line.strip() and not line.startswith("#"):
                _option(case, line.strip())
    elif words[0] == "Dockerfile":
        case.dockerfile = content
    elif words[0] == "expect":
        case.expect = content
    elif words[0] == "fails":
        case.fails, case.fails_in_file = content.strip(), words[1:] != ["elsewhere"]
    elif words[0] == "base":
        case.bases[words[1]] = content
    else:
        case.members.append(_member(words, content))


def _unquoted(word: str) -> str:
    return _QUOTED.sub(lambda quoted: json.loads(quoted[0]), word)


def _option(case: Case, line: str) -> None:
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if word == "build-arg":
        case.build_args.append(rest)
    elif word == "target":
        case.target = rest
    elif word == "dockerfile":
        case.dockerfile_path = rest
    elif word == "env":
        key, _, value = rest.partition("=")
        case.environment[key] = value
    elif word in ("flag", "imagebuild", "buildah"):
        {"flag": case.flags, "imagebuild": case.own_flags, "buildah": case.oracle_flags}[word].append(rest)
    elif word == "oracle" and rest.startswith("none "):
        case.no_oracle = rest.removeprefix("none ").strip()
    elif word == "cluster" and rest.startswith("none "):
        case.no_cluster = rest.removeprefix("none ").strip()
    elif word == "twin" and rest.startswith("none "):
        case.no_twin = rest.removeprefix("none ").strip()
    else:
        raise BadCase(f"unknown option: {line}")


def _member(words: list[str], content: str) -> Member:
    path, attributes, xattrs = words[0], {}, {}
    if path.startswith("/") or ".." in path.split("/"):
        raise BadCase(f"{path} is not below the case's folder")
    for word in words[1:]:
        key, _, value = word.partition("=")
        if key.startswith("xattr:"):
            xattrs[key.removeprefix("xattr:")] = value
        elif key in (_VALUES if "=" in word else _FLAGS):
            attributes[key] = value
        else:
            raise BadCase(f"unknown attribute {word} of {path}")
    data = content.encode(errors="surrogateescape")
    if "no-newline" in attributes:
        data = data.removesuffix(b"\n")
    if "base64" in attributes:
        data = base64.b64decode(data)
    return Member(path, data, attributes, xattrs)
