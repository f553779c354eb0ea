"""Puts the files of a case into a folder: the context, and whatever stands beside it."""

import os
import pathlib

import archives
from case_file import BadCase, Case, Member

# The time of everything in a context that has no other, and the latest time in any image (SOURCE_DATE_EPOCH).
CONTEXT_TIME, EPOCH = 1600000000, 1700000000


def write(case: Case, folder: pathlib.Path, substitute=lambda text: text) -> None:
    """Fills `folder`, which is new; `substitute` replaces what is known only now in texts (addresses of servers)."""
    (folder / "context").mkdir(parents=True)
    members = list(case.members)
    for member in members:
        _make(member, folder)
    if case.dockerfile is not None:
        text = substitute(case.dockerfile)
        members.append(Member(case.dockerfile_path, text.encode(errors="surrogateescape"), {}, {}))
        _make(members[-1], folder)
    for member in members:
        if "symlink" not in member.attributes and "hardlink" not in member.attributes:
            _permit(member, folder / member.path)
    times = {str(folder / member.path): int(member.attributes["mtime"]) for member in members if "mtime" in member.attributes}
    for path, folders, files in os.walk(folder, topdown=False):
        for name in [*files, *folders]:
            full = os.path.join(path, name)
            time = times.get(full, CONTEXT_TIME)
            os.utime(full, (time, time), follow_symlinks=False)
    os.utime(folder / "context", (CONTEXT_TIME, CONTEXT_TIME))


def _make(member: Member, folder: pathlib.Path) -> None:
    path, attributes = folder / member.path, member.attributes
    path.parent.mkdir(parents=True, exist_ok=True)
    if "dir" in attributes:
        path.mkdir(exist_ok=True)
    elif "symlink" in attributes:
        path.symlink_to(attributes["symlink"])
    elif "hardlink" in attributes:
        os.link(folder / attributes["hardlink"], path)
    elif "fifo" in attributes:
        os.mkfifo(path)
    elif "sparse" in attributes:
        with open(path, "wb") as file:
            file.truncate(int(attributes["size"]))
            file.seek(int(attributes["size"]) // 2)
            file.write(member.content)
    elif "tar" in attributes:
        path.write_bytes(archives.pack(member.content.decode(errors="surrogateescape"), attributes["tar"]))
    elif "size" in attributes:
        size = int(attributes["size"])
        path.write_bytes((member.content * (size // max(1, len(member.content)) + 1))[:size])
    else:
        path.write_bytes(member.content)


def _permit(member: Member, path: pathlib.Path) -> None:
    if owner := member.attributes.get("owner"):
        uid, _, gid = owner.partition(":")
        os.chown(path, int(uid), int(gid))
    os.chmod(path, int(member.attributes.get("mode") or ("0755" if "dir" in member.attributes else "0644"), 8))
    for name, value in member.xattrs.items():
        try:
            os.setxattr(path, name, value.encode(errors="surrogateescape"))
        except OSError as failure:
            raise BadCase(f"the folder for temporary files takes no extended attribute {name}: {failure}") from None
