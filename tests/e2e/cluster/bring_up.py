"""Brings a cluster up in a folder of its own, and takes it down so that nothing is left on the machine."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import ssl
import tempfile
import urllib.request

import bases
from harness.cache import locked

from . import cgroups, helm_and_kubectl, images, kubernetes, network, node
from .control_plane import ControlPlane
from .enclave import Enclave

# On a disk, and not below a folder of which the enclave has its own view.
_PLACE = pathlib.Path("/var/tmp")
_PREFIX = "imagebuild-cluster-"

_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/host-path",
    "metadata": {"name": "host-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}


@contextlib.contextmanager
def cluster(nodes: int = 2, say=lambda text: None):
    """A cluster with this many nodes, ready for pods: gives its state (a dict, see cluster.py), ends with the block."""
    programs = kubernetes.programs(say) | helm_and_kubectl.programs()
    bases.ensure(say=say)
    remove_leftovers()
    folder, lock = _make_folder()
    suffix = folder.name.removeprefix(_PREFIX)
    enclave = None
    try:
        pause = images.pause_program()
        enclave = Enclave(folder, pause)
        yield _Cluster(folder, suffix, enclave, programs, nodes).start(pause)
    finally:
        if enclave:
            enclave.close()
        _remove(folder)
        lock.close()


def _make_folder():
    """The folder of a run and its lock, which tells a running cluster's folder from a leftover."""
    with locked("cluster-folders"):
        folder = pathlib.Path(tempfile.mkdtemp(dir=_PLACE, prefix=_PREFIX))
        lock = open(folder / "lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def remove_leftovers() -> None:
    """Removes what a supervisor that was killed could not: the kernel has ended its processes and interfaces."""
    with locked("cluster-folders"):
        for folder in _PLACE.glob(f"{_PREFIX}*/"):
            with open(folder / "lock", "w") as lock, contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def _remove(folder: pathlib.Path) -> None:
    cgroups.remove(_cgroup(folder.name.removeprefix(_PREFIX)))
    shutil.rmtree(folder)


def _cgroup(suffix: str) -> str:
    return f"imagebuild-cluster-{suffix}"


class _Cluster:
    def __init__(self, folder: pathlib.Path, suffix: str, enclave: Enclave, programs: dict[str, str], nodes: int):
        self._folder, self._suffix, self._enclave, self._programs = folder, suffix, enclave, programs
        self._numbers = range(1, nodes + 1)
        self._network = network.connect(enclave, suffix, nodes)
        self._control_plane = ControlPlane(folder, enclave, self._network, programs)
        self._tls = ssl.create_default_context(cafile=folder / "pki/ca.crt")
        self._tls.load_cert_chain(folder / "pki/admin.crt", folder / "pki/admin.key")

    def start(self, pause: pathlib.Path) -> dict:
        enclave, plane = self._enclave, self._control_plane
        plane.start_etcd()
        images.start_registry(self._folder / "registry", enclave, self._network)
        sandbox_image = f"{self._network.registry}/{images.PAUSE}"
        for number in self._numbers:
            node.start_containerd(number, self._node_folder(number), enclave, self._network, sandbox_image)
        self._start_kubelets()
        plane.start_api_server()
        enclave.wait_until(self._registry_answers, "the registry answers")
        images.push_pause(pause, self._network)
        enclave.wait_until(lambda: self._call("/readyz") == b"ok", "the API server is ready")
        plane.start_controllers()
        enclave.wait_until(lambda: self._call("/apis/storage.k8s.io/v1/storageclasses", _STORAGE_CLASS),
                           "the API server takes a StorageClass")
        enclave.wait_until(self._pods_can_run, "all nodes are ready and the default service account exists")
        return self._state()

    def _start_kubelets(self) -> None:
        """Before the API server: a kubelet of v1.20 first looks for Docker, for five seconds."""
        for number in self._numbers:
            cgroup = f"{_cgroup(self._suffix)}/{node.name(number)}"
            node.start_kubelet(number, self._node_folder(number), self._enclave, self._network, self._control_plane,
                               self._programs["kubelet"], cgroup)

    def _node_folder(self, number: int) -> pathlib.Path:
        return self._folder / node.name(number)

    def _registry_answers(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{self._network.registry}/v2/", timeout=5).status == 200
        return False

    def _call(self, path: str, body: dict | None = None) -> bytes:
        """What the API server answers to a GET or POST; nothing as long as it does not answer well."""
        request = urllib.request.Request(self._network.api_server + path, data=json.dumps(body).encode() if body else None,
                                         headers={"Content-Type": "application/json"})
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(request, timeout=10, context=self._tls).read()
        return b""

    def _pods_can_run(self) -> bool:
        nodes = json.loads(self._call("/api/v1/nodes") or "{}").get("items", [])
        ready = [each for each in nodes for condition in each["status"].get("conditions", [])
                 if (condition["type"], condition["status"]) == ("Ready", "True") and not each["spec"].get("taints")]
        return len(ready) == len(self._numbers) and self._call("/api/v1/namespaces/default/serviceaccounts/default") != b""

    def _state(self) -> dict:
        return {
            "folder": str(self._folder), "kubeconfig": str(self._folder / "admin.kubeconfig"),
            "kubectl": self._programs["kubectl"], "helm": self._programs["helm"], "registry": self._network.registry,
            "machine": self._network.machine, "nodes": [node.name(number) for number in self._numbers],
            "processes": self._enclave.process_ids(), "supervisor": os.getpid(),
        }
