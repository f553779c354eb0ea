"""A docker-registry of our own on a free port."""

import pathlib
import re
import shutil
import subprocess
import tempfile

from . import processes

# The password of USER below, as docker-registry wants it (bcrypt).
USER, PASSWORD = "builder", "correct-horse"
_HTPASSWD = "builder:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n"

_CONFIG = """version: 0.1
log: {{level: info, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}, readonly: {{enabled: {readonly}}}}}
http: {{addr: "{address}:0"}}
"""


class Registry:
    """Runs from construction until close(). With `storage` it serves what is there, otherwise a folder of its own.

    With `address` it is there for pods too: the address at which they see this machine.
    """

    def __init__(self, storage=None, readonly=False, password=False, address=""):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="imagebuild-registry-"))
        self.storage = pathlib.Path(storage) if storage else self._folder / "storage"
        config = _CONFIG.format(storage=self.storage, readonly=str(readonly).lower(), address=address or "127.0.0.1")
        if password:
            (self._folder / "htpasswd").write_text(_HTPASSWD)
            config += f'auth: {{htpasswd: {{realm: e2e, path: "{self._folder}/htpasswd"}}}}\n'
        (self._folder / "config.yml").write_text(config)
        self._log = open(self._folder / "log", "w")
        self._process = subprocess.Popen(["docker-registry", "serve", self._folder / "config.yml"], stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=subprocess.PIPE, preexec_fn=processes.die_with_parent)
        self.port = self._wait_for_port()
        self.host = f"{address or 'localhost'}:{self.port}"
        self.url = f"http://{address or '127.0.0.1'}:{self.port}"

    def _wait_for_port(self) -> int:
        """The registry says on stderr which port it got; that line is also the news that it is ready."""
        seen = b""
        for line in self._process.stderr:
            seen += line
            if found := re.search(rb"listening on [0-9.]+:(\d+)", line):
                self._drain()
                return int(found[1])
        self.close()
        raise AssertionError(f"docker-registry did not start:\n{seen.decode()}")

    def _drain(self) -> None:
        """From here on nobody reads the registry's log: `cat` carries it to the file, so that the pipe never fills."""
        self._cat = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=self._log,
                                     preexec_fn=processes.die_with_parent)

    def close(self) -> None:
        processes.stop(self._process)
        self._process.stderr.close()
        if hasattr(self, "_cat"):
            self._cat.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
