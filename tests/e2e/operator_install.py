#!/usr/bin/python3
"""Installs the operator in the cluster of the tests by its chart, from images that imagebuild builds, and removes it.

    operator_install.py up      for ctest's fixture: returns once both replicas are available
    operator_install.py down    removes it and fails if anything of it stays
"""

import json
import sys

from cluster import cluster
from cluster.cluster import Cluster
from cluster_images import CHART, build_images, chart_values

# Where ctest's fixture installs it, for ImageBuilds of all namespaces.
NAMESPACE = "imagebuild-system"
RELEASE = "imagebuild"


def install(where: Cluster, namespace: str = NAMESPACE, release: str = RELEASE, values: dict | None = None,
            own_images: dict | None = None) -> None:
    """Installs the chart into a namespace that exists, with `values` over its own, and waits for the Deployment.

    `own_images` (name → reference with digest) go before those that are built here. A second operator in a cluster wants {"watchNamespaces": […], "crds": {"install": False}}.
    """
    registry = where.registry
    registries = {"docker.io": {"mirrors": [f"http://{registry}"]}, registry: {"plainHTTP": True}}
    words = []
    for key, value in ({"registries": registries} | (values or {})).items():
        words += ["--set-json", f"{key}={json.dumps(value)}"]
    where.helm("install", release, CHART, *chart_values(build_images(registry) | (own_images or {})), *words, namespace=namespace)
    where.kubectl("rollout", "status", f"deployment/{deployment(release)}", "--timeout", "120s", namespace=namespace, seconds=150)


def deployment(release: str = RELEASE) -> str:
    """The name of the operator's Deployment."""
    return f"{release if 'imagebuild' in release else f'{release}-imagebuild'}-operator"


def uninstall(where: Cluster, namespace: str = NAMESPACE, release: str = RELEASE) -> None:
    """Removes what install() made, and fails if the operator keeps its Lease, or if pods, roles or other objects stay."""
    # Helm takes the operator's rights in the same moment as its Deployment: let it end first.
    where.kubectl("scale", f"deployment/{deployment(release)}", "--replicas", "0", namespace=namespace)
    mine = f"app.kubernetes.io/instance={release}"
    # Their processes end at once; a kubelet of 1.20 may take a minute or two to say so.
    where.wait_until(lambda: not where.list("pods", namespace, mine), 200, f"the pods of {release} are gone", namespace)
    left = [f"Lease {found['metadata']['name']}, held by {holder}" for found in where.list("lease", namespace)
            if (holder := found["spec"].get("holderIdentity"))]
    where.helm("uninstall", release, namespace=namespace)
    kinds = "all,configmap,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget"
    found_left = where.list(kinds, namespace, mine)
    found_left += [found for found in where.list("clusterrole,clusterrolebinding", "", mine)
                   if found["metadata"].get("annotations", {}).get("meta.helm.sh/release-namespace") == namespace]
    left += [f"{found['kind']} {found['metadata']['name']}" for found in found_left if "deletionTimestamp" not in found["metadata"]]
    if left:
        raise AssertionError(f"helm uninstall left {', '.join(left)}")


def _up(where: Cluster) -> None:
    where.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    install(where)


def _down(where: Cluster) -> None:
    uninstall(where)
    where.kubectl("delete", "namespace", NAMESPACE)


if __name__ == "__main__":
    {"up": _up, "down": _down}[sys.argv[1]](cluster.attach())
