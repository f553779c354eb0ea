"""Child processes that cannot outlive the test that started them."""

import ctypes
import pathlib
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """For preexec_fn: the kernel ends the child when the thread that started it ends, however that happens."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*command, check=True, **kwargs) -> subprocess.CompletedProcess:
    """Runs a tool of the tests; a failure shows what it printed."""
    done = subprocess.run([str(word) for word in command], stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                          capture_output=True, text=True, preexec_fn=die_with_parent, **kwargs)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def with_mark(mark: str) -> dict[int, list[str]]:
    """The processes of this machine that carry `mark` in their command line or environment: id → command line.

    Children inherit the environment, so a mark set in a RUN finds everything that the RUN started, in any container.
    """
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended
        if mark.encode() in command + environment:
            found[int(folder.name)] = command.decode(errors="replace").split("\0")
    return found


def sleeping_with_mark(mark: str, build: subprocess.Popen) -> set[int]:
    """Waits until a RUN of `build` that printed its mark has come to its `sleep 3600`, and finds that process."""
    while build.poll() is None:
        if asleep := {pid for pid, command in with_mark(mark).items() if command[:2] == ["sleep", "3600"]}:
            return asleep
    return set()
