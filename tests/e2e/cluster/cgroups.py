"""The control groups of a cluster: one per run, one per node below it, in every hierarchy of this machine."""

import contextlib
import pathlib
import time


def _hierarchies() -> list[pathlib.Path]:
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
              if " - cgroup " in line or " - cgroup2 " in line]
    return [pathlib.Path(point) for point in points]


def make(name: str) -> None:
    """`name` is a path of groups; each gets what its parent has, as the kubelet wants of its --cgroup-root."""
    for hierarchy in _hierarchies():
        folder = hierarchy
        for part in name.split("/"):
            parent, folder = folder, folder / part
            _pass_controllers_on(parent)
            folder.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (folder / file).is_file() and not (folder / file).read_text().strip():
                    (folder / file).write_text((parent / file).read_text() if (parent / file).is_file() else "")
        _pass_controllers_on(folder)


def _pass_controllers_on(folder: pathlib.Path) -> None:
    """cgroup v2: a group's children have only the controllers that it names."""
    if (folder / "cgroup.subtree_control").is_file():
        for controller in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def find(name: str) -> list[pathlib.Path]:
    return [hierarchy / name for hierarchy in _hierarchies() if (hierarchy / name).is_dir()]


def remove(name: str) -> None:
    """Removes the group and all below it, whose processes have ended."""
    for top in find(name):
        for folder in [*sorted(top.glob("**/"), key=lambda path: len(path.parts), reverse=True)]:
            _remove_one(folder)


def _remove_one(folder: pathlib.Path) -> None:
    for attempt in range(100):  # the kernel lets go of a group a moment after its last process
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the control group {folder} is still in use")
