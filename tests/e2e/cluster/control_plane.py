"""etcd, the API server, the controller manager, the scheduler and kube-proxy of a cluster."""

import pathlib

from . import kubeconfig
from .certificates import Authority
from .enclave import Enclave
from .network import Network


class ControlPlane:
    def __init__(self, folder: pathlib.Path, enclave: Enclave, network: Network, programs: dict[str, str]):
        self._folder, self._enclave, self._network, self._programs = folder, enclave, network, programs
        self.authority = Authority(folder / "pki")
        self.authority.issue("api-server", "kube-apiserver", names=(
            "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", network.address,
            network.api_service))
        self.kubeconfig("admin", "kubernetes-admin", "system:masters")

    def kubeconfig(self, name: str, user: str, group: str = "", names: tuple[str, ...] = ()) -> pathlib.Path:
        """Gives a user of the API a certificate and writes its kubeconfig to NAME.kubeconfig."""
        self.authority.issue(name, user, group, names)
        return kubeconfig.write(self._folder / f"{name}.kubeconfig", self._network.api_server, self.authority, name)

    def start_etcd(self) -> None:
        data = self._folder / "etcd"
        data.mkdir()
        self._enclave.run("mount", "-t", "tmpfs", "etcd", data)  # its fsyncs are most of what a small cluster waits for
        self._enclave.start("etcd", self._programs["etcd"], "--data-dir", data, "--listen-client-urls=http://127.0.0.1:2379",
                            "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380",
                            "--log-level=error")

    def start_api_server(self) -> None:
        path, network = self.authority.path, self._network
        self._enclave.start(
            "kube-apiserver", self._programs["kube-apiserver"], "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={network.address}", f"--advertise-address={network.address}", "--secure-port=6443",
            f"--cert-dir={self._folder}/pki", f"--tls-cert-file={path('api-server.crt')}",
            f"--tls-private-key-file={path('api-server.key')}", f"--client-ca-file={path('ca.crt')}",
            f"--kubelet-client-certificate={path('admin.crt')}", f"--kubelet-client-key={path('admin.key')}",
            "--kubelet-preferred-address-types=InternalIP", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
            f"--service-cluster-ip-range={network.services}", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={path('service-account.key')}",
            f"--service-account-key-file={path('service-account.pub')}")

    def start_controllers(self) -> None:
        """To be called once the API server answers."""
        path = self.authority.path
        manager = self.kubeconfig("controller-manager", "system:kube-controller-manager")
        scheduler = self.kubeconfig("scheduler", "system:kube-scheduler")
        proxy = self.kubeconfig("proxy", "system:kube-proxy")
        (self._folder / "volumes").mkdir()  # where the host-path provisioner makes its claims' folders
        self._enclave.run("mkdir", "/tmp/hostpath_pv")
        self._enclave.run("mount", "--bind", self._folder / "volumes", "/tmp/hostpath_pv")
        self._enclave.start(
            "kube-controller-manager", self._programs["kube-controller-manager"], f"--kubeconfig={manager}",
            "--use-service-account-credentials", f"--root-ca-file={path('ca.crt')}", "--leader-elect=false",
            f"--service-account-private-key-file={path('service-account.key')}", "--enable-hostpath-provisioner=true",
            "--bind-address=127.0.0.1", "--kube-api-qps=200", "--kube-api-burst=400")
        self._enclave.start("kube-scheduler", self._programs["kube-scheduler"], f"--kubeconfig={scheduler}",
                            "--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=200", "--kube-api-burst=400")
        self._enclave.start("kube-proxy", self._programs["kube-proxy"], f"--kubeconfig={proxy}", "--proxy-mode=iptables",
                            "--hostname-override=node-1", f"--cluster-cidr={self._network.whole}",
                            "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0",
                            "--conntrack-tcp-timeout-close-wait=0", "--iptables-min-sync-period=100ms")
