"""One node of a cluster: a bridge for its pods, a containerd and a kubelet, all of its own."""

import json
import pathlib

from . import cgroups, containerd
from .control_plane import ControlPlane
from .enclave import Enclave
from .network import Network


def name(number: int) -> str:
    return f"node-{number}"


def start_containerd(number: int, folder: pathlib.Path, enclave: Enclave, network: Network, sandbox_image: str) -> None:
    (folder / "cni").mkdir(parents=True)
    (folder / "cni/10-bridge.conflist").write_text(json.dumps(_bridge(number, folder, network)))
    config = folder / "containerd.toml"
    config.write_text(containerd.configuration(folder, network.registry, sandbox_image))
    enclave.start(f"containerd-{name(number)}", "containerd", "--config", config)


def _bridge(number: int, folder: pathlib.Path, network: Network) -> dict:
    addresses = {"type": "host-local", "dataDir": f"{folder}/ipam", "ranges": [[{"subnet": network.pods(number)}]],
                 "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": f"node{number}", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": f"node{number}", "plugins": [bridge]}


def start_kubelet(number: int, folder: pathlib.Path, enclave: Enclave, network: Network, control_plane: ControlPlane,
                  program: str, cgroup: str) -> None:
    me, address = name(number), network.node(number)
    kubeconfig = control_plane.kubeconfig(me, f"system:node:{me}", "system:nodes", names=(me, address))
    cgroups.make(cgroup)
    (folder / "resolv.conf").write_text("")
    config = folder / "kubelet.json"
    config.write_text(json.dumps(_kubelet_configuration(me, folder, address, network, control_plane, cgroup)))
    enclave.start(f"kubelet-{me}", program, f"--kubeconfig={kubeconfig}", f"--config={config}", f"--root-dir={folder}/kubelet",
                  f"--hostname-override={me}", f"--node-ip={address}", "--container-runtime=remote",
                  f"--container-runtime-endpoint=unix://{folder}/containerd.sock", "--network-plugin=cni",
                  f"--cni-conf-dir={folder}/cni", "--cni-bin-dir=/usr/lib/cni", f"--cert-dir={folder}",
                  f"--node-labels=topology.kubernetes.io/zone=zone-{number}")


def _kubelet_configuration(me: str, folder: pathlib.Path, address: str, network: Network, control_plane: ControlPlane,
                           cgroup: str) -> dict:
    path = control_plane.authority.path
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": address, "healthzBindAddress": address, "tlsCertFile": path(f"{me}.crt"),
        "tlsPrivateKeyFile": path(f"{me}.key"), "authentication": {"x509": {"clientCAFile": path("ca.crt")}},
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{cgroup}", "enforceNodeAllocatable": [], "failSwapOn": False,
        "clusterDomain": "cluster.local", "clusterDNS": [network.address], "resolvConf": f"{folder}/resolv.conf",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%",
                         "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100, "serializeImagePulls": False, "registryPullQPS": 0, "eventRecordQPS": 0,
        "kubeAPIQPS": 100, "kubeAPIBurst": 200,
        "nodeStatusUpdateFrequency": "1s",  # how soon it sees that the node is ready; it writes only changes
    }
