"""Child processes that cannot outlive the test that started them."""

import ctypes
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
