"""Notes each pod that ever was in a namespace: the pods of a build go with its end."""

import json
import os
import pathlib
import subprocess
import tempfile

from cluster.cluster import Cluster
from harness import processes


class PodWatch:
    """Watches from construction until close()."""

    def __init__(self, where: Cluster, namespace: str):
        self._file = tempfile.NamedTemporaryFile(prefix="imagebuild-e2e-pods-")
        words = [where.state["kubectl"], "--namespace", namespace, "get", "pods", "--watch", "--output", "json"]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self._file, preexec_fn=processes.die_with_parent,
                                         env=os.environ | {"KUBECONFIG": where.kubeconfig})

    def pods(self, role: str = "") -> list[dict]:
        """Each pod as it was seen last, in the order of their creation; only those of a role, if one is named."""
        found: dict[str, dict] = {}
        text, at, decoder = pathlib.Path(self._file.name).read_text(), 0, json.JSONDecoder()
        while at < len(text):
            try:
                pod, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError:
                break  # it is being written
            at += 1  # the line's end
            found[pod["metadata"]["name"]] = pod
        return [pod for pod in found.values() if not role or pod["metadata"]["labels"].get("imagebuild.dev/role") == role]

    def close(self) -> None:
        processes.stop(self._process)
        self._file.close()
