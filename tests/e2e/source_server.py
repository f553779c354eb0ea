"""Servers from which builders fetch sources: HTTP with files and Git repositories, and Git's own protocol."""

import base64
import http.server
import os
import pathlib
import socketserver
import subprocess
import threading
import urllib.parse

from harness import processes

_IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: pathlib.Path, *words: str) -> str:
    """Runs git there, without this machine's settings, as somebody who commits at a fixed time."""
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in {"NAME": "Tester", "EMAIL": "tester@localhost", "DATE": "2021-02-03T04:05:06Z"}.items()}
    return processes.run("git", "-C", folder, "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *words,
                         env=os.environ | _IDENTITY | who).stdout.strip()


class SourceServer:
    """Serves a folder at an address of this machine, below it bare repositories (*.git), from construction until close()."""

    def __init__(self, address: str, folder: pathlib.Path, authorization: str = ""):
        """With `authorization` (basic(…), "Bearer …") every request must carry that header."""
        server = self

        class Handler(_Handler):
            root, wanted = folder, authorization

            def log_message(self, format, *arguments):
                server.requests.append(f"{self.command} {self.path}")

        self.requests: list[str] = []
        self._http = _serve(http.server.ThreadingHTTPServer((address, 0), Handler))
        self.url = f"http://{address}:{self._http.server_port}"
        self._daemon = _serve(_GitDaemon((address, 0), folder))
        self.git_url = f"git://{address}:{self._daemon.server_address[1]}"

    def close(self) -> None:
        for server in (self._http, self._daemon):
            server.shutdown()
            server.server_close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _serve(server: socketserver.BaseServer):
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


class _Handler(http.server.BaseHTTPRequestHandler):
    root: pathlib.Path
    wanted: str

    def do_GET(self):
        if self.wanted and self.headers.get("Authorization") != self.wanted:
            return self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="e2e"'})
        path = urllib.parse.urlsplit(self.path).path
        if ".git/" in path:
            return self._git(path)
        file = self.root / path.lstrip("/")
        if file.is_file():
            return self._answer(200, file.read_bytes(), {})
        self._answer(404, b"", {})

    do_POST = do_GET

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _git(self, path: str) -> None:
        """Hands the request to Git's own CGI program."""
        environment = os.environ | _IDENTITY | {
            "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "REQUEST_METHOD": self.command,
            "QUERY_STRING": urllib.parse.urlsplit(self.path).query, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0]}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self._answer(int(headers.pop("Status", "200").split()[0]), content, headers)


class _GitDaemon(socketserver.ThreadingTCPServer):
    """One `git daemon` for each connection, as inetd does it: no port has to be guessed."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: pathlib.Path):
        class Connection(socketserver.BaseRequestHandler):
            def handle(self):
                subprocess.run(["git", "daemon", "--inetd", "--export-all", f"--base-path={folder}"], stdin=self.request.fileno(),
                               stdout=self.request.fileno(), stderr=subprocess.DEVNULL, env=os.environ | _IDENTITY)

        super().__init__(address, Connection)
