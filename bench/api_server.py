"""A Kubernetes API server with nothing behind it: etcd and kube-apiserver on loopback, no kubelet, no controllers.

What happens there is the doing of the controller under test alone. Every request of the user OPERATOR is in an audit log.
"""

import base64
import collections
import contextlib
import dataclasses
import datetime
import http.client
import json
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests/e2e"))

from cluster import kubeconfig, kubernetes
from cluster.certificates import Authority
from harness import processes

OPERATOR = "operator"  # the user that is counted
NAMESPACE = "team"
BUILDS = f"/apis/imagebuild.dev/v1alpha1/namespaces/{NAMESPACE}/imagebuilds"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"

# With neither their requests nor the answers' bodies: what is counted must cost little.
_AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
          "rules": [{"level": "Metadata", "users": [OPERATOR]}, {"level": "None"}]}
_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/none",
    "volumeBindingMode": "WaitForFirstConsumer",  # as clouds have it: nobody binds claims here, so nobody may wait for it
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
_BUILDS_KEY = f"/registry/imagebuild.dev/imagebuilds/{NAMESPACE}/"
# What a bench leaves behind, as etcd's keys begin.
_LEFT_BEHIND = ("imagebuild.dev/imagebuilds", "pods", "persistentvolumeclaims", f"configmaps/{NAMESPACE}", "events", "leases")


class Refused(Exception):
    pass


class Client:
    """One kept-alive connection; for one thread."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None):
        kind = http.client.HTTPConnection if context is None else http.client.HTTPSConnection
        tls = {} if context is None else {"context": context}
        self._connection = kind(host, port, timeout=120, **tls)

    def call(self, method: str, path: str, body=None, content_type: str = "application/json", accept: str = "application/json"):
        self._connection.request(method, path, json.dumps(body) if body is not None else None,
                                 {"Content-Type": content_type, "Accept": accept})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {text[:500].decode(errors='replace')}")
        return json.loads(text) if text[:1] in (b"{", b"[") else text

    def stream(self, path: str, accept: str = "application/json"):
        """The lines of a watch, each with the moment it arrived."""
        self._connection.request("GET", path, headers={"Accept": accept})
        answer = self._connection.getresponse()
        if answer.status >= 300:
            raise Refused(f"GET {path}: {answer.status} {answer.read(500)}")
        try:
            while line := answer.readline():
                yield time.monotonic(), line
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # closed from another thread

    def close(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


@dataclasses.dataclass(frozen=True)
class Request:
    """One that the operator made."""
    verb: str
    resource: str  # with its subresource: "imagebuilds/status"
    code: int
    received: datetime.datetime

    name: str = ""

    @property
    def what(self) -> str:
        return f"{self.verb} {self.resource}"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class ApiServer:
    """The real one."""

    name = "real"

    def __init__(self):
        self._folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm", prefix="imagebuild-bench-"))  # etcd's fsyncs cost nothing
        self._daemons: list[subprocess.Popen] = []
        self._etcd_port, self._port = free_port(), free_port()
        self._audit = self._folder / "audit.log"
        self._audit_at = 0

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
        shutil.rmtree(self._folder)

    def _start(self) -> None:
        programs = kubernetes.programs(print)
        authority = Authority(self._folder / "pki")
        path = authority.path
        authority.issue("api-server", "kube-apiserver", names=("localhost", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"))
        for user in ("admin", OPERATOR):
            authority.issue(user, user, "system:masters")
        self.kubeconfig = kubeconfig.write(self._folder / "operator.kubeconfig", f"https://127.0.0.1:{self._port}", authority, OPERATOR)
        self._tls = ssl.create_default_context(cafile=path("ca.crt"))
        self._tls.load_cert_chain(path("admin.crt"), path("admin.key"))
        (self._folder / "audit.json").write_text(json.dumps(_AUDIT))

        self._daemon("etcd", programs["etcd"], "--data-dir", self._folder / "etcd", "--log-level=error",
                     f"--listen-client-urls=http://127.0.0.1:{self._etcd_port}",
                     f"--advertise-client-urls=http://127.0.0.1:{self._etcd_port}",
                     f"--listen-peer-urls=http://127.0.0.1:{free_port()}", "--max-txn-ops=1024", "--max-request-bytes=16777216",
                     "--quota-backend-bytes=8589934592")
        self._daemon(
            "kube-apiserver", programs["kube-apiserver"], f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1", f"--secure-port={self._port}", "--endpoint-reconciler-type=none",
            f"--cert-dir={self._folder}/pki", f"--tls-cert-file={path('api-server.crt')}",
            f"--tls-private-key-file={path('api-server.key')}", f"--client-ca-file={path('ca.crt')}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
            "--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={path('service-account.key')}",
            f"--service-account-key-file={path('service-account.pub')}",
            f"--audit-policy-file={self._folder}/audit.json", f"--audit-log-path={self._audit}")
        self._wait(lambda client: client.call("GET", "/readyz") == b"ok")
        client = self.client()
        crd = next((TOP / "crds").glob("*.yaml"))
        self._kubectl("create", "--validate=false", "--filename", crd)
        client.call("POST", "/apis/storage.k8s.io/v1/storageclasses", _STORAGE_CLASS)
        client.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        # What a controller would make; pods are refused without it.
        client.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        self._wait(lambda client: client.call("GET", BUILDS)["items"] == [])

    def _daemon(self, name: str, *words) -> None:
        with open(self._folder / f"{name}.log", "w") as log:
            self._daemons.append(subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                  preexec_fn=processes.die_with_parent))

    def _kubectl(self, *words) -> None:
        from cluster import helm_and_kubectl
        processes.run(helm_and_kubectl.programs()["kubectl"], f"--kubeconfig={self.kubeconfig}", *words)

    def _wait(self, reached) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if reached(self.client()):
                    return
            except (OSError, Refused, http.client.HTTPException) as failure:
                if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in self._daemons):
                    logs = "".join((self._folder / f"{name}.log").read_text()[-2000:] for name in ("etcd", "kube-apiserver"))
                    raise AssertionError(f"the API server does not come up: {failure}\n{logs}") from failure
            time.sleep(0.05)

    def client(self) -> Client:
        return Client("127.0.0.1", self._port, self._tls)

    # ---- what only etcd can do quickly
    def _etcd(self, path: str, body: dict) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=120)
        connection.request("POST", f"/v3/{path}", json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Refused(f"etcd: {answer.status} {text[:500]}")
        return json.loads(text)

    def clear(self) -> None:
        """Removes what builds left behind, at once; without an operator."""
        for prefix in _LEFT_BEHIND:
            key = f"/registry/{prefix}/".encode()
            self._etcd("kv/deleterange", {"key": _encode(key), "range_end": _encode(key[:-1] + b"0")})
        for kind in (BUILDS, PODS):  # From the API server's cache, as the operator reads them.
            self._wait(lambda client, kind=kind: not client.call("GET", kind + "?resourceVersion=0")["items"])

    def stored(self, name: str) -> bytes:
        """An ImageBuild as etcd has it."""
        found = self._etcd("kv/range", {"key": _encode((_BUILDS_KEY + name).encode())})
        return base64.b64decode(found["kvs"][0]["value"])

    def put_copies(self, stored: bytes, count: int) -> None:
        """Adds copies of an ImageBuild, each as the API server would have stored it."""
        text, metadata = stored.decode(), json.loads(stored)["metadata"]
        for first in range(0, count, 200):
            puts = []
            for number in range(first, min(first + 200, count)):
                own = f"done-{number:06}"
                value = text.replace(f'"{metadata["name"]}"', f'"{own}"').replace(metadata["uid"], str(uuid.uuid4()))
                puts.append({"requestPut": {"key": _encode((_BUILDS_KEY + own).encode()), "value": _encode(value.encode())}})
            self._etcd("kv/txn", {"success": puts})
        client = self.client()
        self._wait(lambda _: len(client.call("GET", BUILDS + "?resourceVersion=0")["items"]) >= count)

    # ---- what the operator asked
    def requests(self) -> list[Request]:
        """Those that ended since the last call; watches end late."""
        with open(self._audit, "rb") as log:
            log.seek(self._audit_at)
            text = log.read()
        whole = text[:text.rfind(b"\n") + 1]
        self._audit_at += len(whole)
        return [_request(json.loads(line)) for line in whole.splitlines()]


def _request(event: dict) -> Request:
    about = event.get("objectRef", {})
    resource = about.get("resource", event["requestURI"]) + ("/" + about["subresource"] if "subresource" in about else "")
    received = datetime.datetime.fromisoformat(event["requestReceivedTimestamp"])
    return Request(event["verb"], resource, event.get("responseStatus", {}).get("code", 0), received, about.get("name", ""))


class FakeApiServer:
    """The tests' own, with everything in memory: for sizes at which the real one would be measured instead of the operator."""

    name = "fake"

    def __init__(self, program: pathlib.Path):
        self._program, self._process = program, None
        self._folder = tempfile.TemporaryDirectory(prefix="imagebuild-bench-")
        self.kubeconfig = pathlib.Path(self._folder.name) / "operator.kubeconfig"

    def __enter__(self):
        self.clear()
        return self

    def __exit__(self, *_):
        self._stop()
        self._folder.cleanup()

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()

    def clear(self) -> None:
        """Begins anew, at another address."""
        self._stop()
        self._process = subprocess.Popen([self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         preexec_fn=processes.die_with_parent)
        url = self._process.stdout.readline().strip()
        self._host, _, self._port = url.removeprefix("http://").rstrip("/").partition(":")
        self._counted = collections.Counter()
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake", "users": [{"name": "fake", "user": {}}],
            "clusters": [{"name": "fake", "cluster": {"server": url}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}]}))

    def client(self) -> Client:
        return Client(self._host, int(self._port), None)

    def _ask(self, command: str) -> str:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def put_copies(self, stored: bytes, count: int) -> None:
        self._ask(f"copies {count} {json.dumps(json.loads(stored))}")

    def requests(self) -> list[Request]:
        """Those since the last call, of anybody; when they came is not known."""
        now = collections.Counter(json.loads(self._ask("requests")))
        new, self._counted = now - self._counted, now
        moment = datetime.datetime.now(datetime.timezone.utc)
        found = []
        for what, number in new.items():
            method, resource, code = what.split(" ")
            found += [Request(method.lower(), resource, int(code), moment)] * number
        return found


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
