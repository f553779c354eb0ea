"""Child processes that cannot outlive the test that started them."""

import ctypes
import os
import pathlib
import re
import select
import signal
import subprocess
import time

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


def read_until(process: subprocess.Popen, reached, seconds: float = 60) -> str:
    """Reads what `process` prints until reached(all of it so far) is true, or it ends, or the time is up."""
    text, deadline = "", time.monotonic() + seconds
    while not reached(text):
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not piece:
            break
        text += piece.decode(errors="replace")
    return text


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


def end_with_mark(mark: str) -> None:
    """Ends what a failed test would leave behind."""
    for pid in with_mark(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def printed(word: str, text: str) -> bool:
    """Whether a RUN printed `word`; the line that shows its `echo word` does not count."""
    return re.search(rf"(?m)^(?!.*echo).*\b{word}\b.*\n", text) is not None


def sleeping_with_mark(mark: str, build: subprocess.Popen) -> set[int]:
    """Waits until a RUN of `build` that printed its mark has come to its `sleep 3600`, and finds that process."""
    deadline = time.monotonic() + 20
    while build.poll() is None and time.monotonic() < deadline:
        if asleep := {pid for pid, command in with_mark(mark).items() if command[:2] == ["sleep", "3600"]}:
            return asleep
    return set()
