"""The addresses of a cluster: one free 10.K.0.0/16, routed between the machine and the cluster's own network.

    10.K.0.1      the machine, as pods see it           10.K.0.2   API server and registry, for pods and machine alike
    10.K.N.0/24   the pods of node N; 10.K.N.1 is the node itself and its bridge
    10.K.128.0/17 services

There is no route from inside to anywhere else.
"""

import dataclasses
import ipaddress
import json
import random

from harness import processes
from harness.cache import locked

from .enclave import Enclave


@dataclasses.dataclass(frozen=True)
class Network:
    block: int  # the K above

    machine = property(lambda self: f"10.{self.block}.0.1")
    address = property(lambda self: f"10.{self.block}.0.2")
    whole = property(lambda self: f"10.{self.block}.0.0/16")
    services = property(lambda self: f"10.{self.block}.128.0/17")
    api_service = property(lambda self: f"10.{self.block}.128.1")
    registry = property(lambda self: f"{self.address}:5000")
    api_server = property(lambda self: f"https://{self.address}:6443")

    def pods(self, node: int) -> str:
        return f"10.{self.block}.{node}.0/24"

    def node(self, node: int) -> str:
        return f"10.{self.block}.{node}.1"


def connect(enclave: Enclave, suffix: str, nodes: int) -> Network:
    """Links the enclave to the machine by a pair of interfaces, which ends with the enclave, and makes the bridges."""
    outside = f"ibc-{suffix}"
    with locked("cluster-network"):
        network = Network(_free_block())
        processes.run("ip", "link", "add", outside, "type", "veth", "peer", "name", "uplink", "netns", enclave.pid)
        _batch([f"address add {network.machine}/24 dev {outside}", f"link set {outside} up",
                f"route add {network.whole} via {network.address} dev {outside} onlink"])
    lines = ["link set lo up", f"address add {network.address}/24 dev uplink", "link set uplink up"]
    for node in range(1, nodes + 1):
        # An address of its own: else a bridge takes the lowest of its ports', and whoever knew the one before loses packets.
        lines += [f"link add node{node} address 0e:00:00:00:00:{node:02x} type bridge", f"address add {network.node(node)}/24 dev node{node}",
                  f"link set node{node} up"]
    _batch(lines, enclave)
    enclave.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    return network


def _batch(lines: list[str], enclave: Enclave | None = None) -> None:
    words = ["ip", "-batch", "-"]
    processes.run(*(enclave.command(*words) if enclave else words), input="\n".join(lines) + "\n", stdin=None)


def _free_block() -> int:
    """A K whose addresses no interface and no route of this machine has."""
    routes = json.loads(processes.run("ip", "-json", "-4", "route", "show", "table", "all").stdout)
    taken = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route.get("dst", "default") != "default"]
    blocks = list(range(100, 255))
    random.shuffle(blocks)
    for block in blocks:
        if not any(ipaddress.ip_network(f"10.{block}.0.0/16").overlaps(network) for network in taken):
            return block
    raise AssertionError("every 10.K.0.0/16 (K from 100 to 254) is in use on this machine")
