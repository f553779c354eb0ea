"""The operator in a cluster of the tests, as users install it: by Helm, from images that imagebuild built."""

import json

from cluster.cluster import Cluster
from cluster_images import CHART, build_images, chart_values

NAMESPACE = "imagebuild-system"
RELEASE = "imagebuild"
METRICS_PORT = 8080
_SELECTOR = "app.kubernetes.io/name=imagebuild,app.kubernetes.io/component=operator"


def install(cluster: Cluster, *words) -> None:
    """Installs or upgrades the release, and waits until its replicas are ready; further words go to helm."""
    registries = {"docker.io": {"mirrors": [f"http://{cluster.registry}"]}, cluster.registry: {"plainHTTP": True}}
    cluster.helm("upgrade", "--install", RELEASE, CHART, "--create-namespace", "--wait", "--timeout", "120s",
                 *chart_values(build_images(cluster.registry)), "--set-json", f"registries={json.dumps(registries)}", *words,
                 namespace=NAMESPACE)


def pods(cluster: Cluster) -> list[dict]:
    """The operator's replicas that run."""
    found = cluster.list("pods", NAMESPACE, _SELECTOR)
    return [pod for pod in found if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]]


def metrics_targets(cluster: Cluster) -> list[str]:
    return [f"{pod['status']['podIP']}:{METRICS_PORT}" for pod in pods(cluster)]
