"""An image as text: one line for each file that its base does not have like this, then the config. Goldens are such texts."""

import json

from case_folder import CONTEXT_TIME, EPOCH
from tree import Inode, Tree, hard_links

_TIMES = {CONTEXT_TIME: "context", EPOCH: "epoch"}
_CONFIG = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "Healthcheck",
           "OnBuild", "Shell", "ArgsEscaped")


def members_of(inode: Inode, links: list[str] | None = None) -> dict[str, str]:
    """What is said and compared of one path."""
    members = {"type": inode.kind, "mode": f"{inode.mode:04o}", "owner": inode.owner, "mtime": _time(inode.mtime)}
    if inode.kind == "symlink":
        members["target"] = f"-> {path_text(inode.target)}"
    if inode.kind == "file":
        members["content"] = inode.content if inode.content.startswith('"') else f"{inode.content} {inode.size} bytes"
    if inode.device:
        members["device"] = inode.device
    if inode.xattrs:
        members["xattrs"] = " ".join(f"{name}={json.dumps(value)}" for name, value in inode.xattrs)
    if links:
        members["links"] = "links=" + ",".join(path_text(f"/{path}") for path in links)
    return members


def _time(mtime: int) -> str:
    """No time is later than the epoch: oracles that know none of it wrote the present."""
    mtime = min(mtime, EPOCH)
    return _TIMES.get(mtime, str(mtime))


def path_text(path: str) -> str:
    plain = path.isprintable() and not any(letter in path for letter in ' "\\,') and path
    return path if plain else json.dumps(path)


def config_members(config: dict) -> dict[str, str]:
    """Member → JSON; what says nothing is left out."""
    found = {member: config.get(member) for member in ("architecture", "os", "variant", "author")}
    found |= {member: config.get("config", {}).get(member) for member in _CONFIG}
    return {member: json.dumps(value, ensure_ascii=False, sort_keys=True) for member, value in found.items() if value}


def history_lines(config: dict, below: int) -> list[str]:
    """The entries after those of the base."""
    lines = []
    for entry in (config.get("history") or [])[below:]:
        lines.append(json.dumps(entry.get("created_by", ""), ensure_ascii=False) + (" empty" if entry.get("empty_layer") else ""))
    return lines


def render(tree: Tree, base: Tree, base_name: str, config: dict, history_below: int) -> str:
    lines = [f"base {base_name}"] if base_name else []
    links, base_links = hard_links(tree), hard_links(base)
    for path in sorted(tree.keys() | base.keys()):
        if path not in tree:
            lines.append(f"{path_text(f'/{path}')} removed")
            continue
        said = members_of(tree[path], links.get(path))
        if path in base and members_of(base[path], base_links.get(path)) == said:
            continue
        lines.append(f"{path_text(f'/{path}')} {' '.join(said.values())}")
    lines += [f"config {member} {value}" for member, value in config_members(config).items()]
    lines += [f"history {line}" for line in history_lines(config, history_below)]
    return "\n".join(lines) + "\n"
