"""The kubelet, the builders and the controllers of a cluster that has none: brings builds to their end."""

import http.client
import json
import pathlib
import subprocess
import tempfile
import time
import urllib.parse

from api_server import BUILDS, NAMESPACE, PODS

_DOCKERFILE = """\
FROM scratch AS build
COPY Dockerfile /src/
RUN ["/bin/make"]

FROM scratch
COPY --from=build /src/program /program
RUN ["/program", "--check"]
ENTRYPOINT ["/program"]
"""
_CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
_DIGEST = "sha256:" + "d" * 64
_ROLE, _STAGE = "imagebuild.dev/role", "imagebuild.dev/stage"


def image_build(name: str) -> dict:
    """Of two stages, with what people usually write."""
    return {"apiVersion": "imagebuild.dev/v1alpha1", "kind": "ImageBuild",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "shop"},
                         "annotations": {"example.com/commit": "0123456789abcdef0123456789abcdef01234567"}},
            "spec": {"source": {"inline": {"files": {"Dockerfile": _DOCKERFILE}}},
                     "buildArgs": [{"name": "VERSION", "value": "1.0"}],
                     "output": {"image": f"registry.example/team/{name}:1.0", "additionalTags": ["latest"]}, "timeout": "20m"}}


def _plan(imagebuild: pathlib.Path) -> str:
    with tempfile.TemporaryDirectory() as context:
        (pathlib.Path(context) / "Dockerfile").write_text(_DOCKERFILE)
        return subprocess.run([imagebuild, "plan", "--format", "json", context], capture_output=True, text=True, check=True).stdout


class Cluster:
    """Plays for one build at a time."""

    def __init__(self, client, imagebuild: pathlib.Path):
        self._client, self._plan = client, _plan(imagebuild)

    def finish(self, name: str) -> dict:
        """Brings the build to its end, and returns the ImageBuild when everything of it is cleaned up."""
        deadline, begun, ended = time.monotonic() + 60, set(), set()
        while time.monotonic() < deadline:
            build = self._client.call("GET", f"{BUILDS}/{name}")
            pods = [pod for pod in self._client.call("GET", PODS)["items"] if _owner(pod) == name]
            claims = [claim for claim in self._client.call("GET", _CLAIMS)["items"] if _owner(claim) == name]
            if "completionTime" in build.get("status", {}) and not pods and not claims:
                return build
            for claim in claims:
                self._release(claim)
            for pod in pods:
                if "deletionTimestamp" in pod["metadata"]:
                    self._client.call("DELETE", f"{PODS}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
                elif pod["metadata"]["name"] not in begun:
                    begun.add(pod["metadata"]["name"])
                    self._begin(pod)
            under_way = [pod for pod in pods if pod["metadata"]["name"] in begun - ended and "deletionTimestamp" not in pod["metadata"]]
            if under_way:
                pod = min(under_way, key=_turn)
                ended.add(pod["metadata"]["name"])
                self._run(pod, name)
            time.sleep(0.02)
        raise AssertionError(f"the build {name} did not end: {json.dumps(build.get('status'))}")

    def _release(self, claim: dict) -> None:
        """As the controller manager does for a claim that no pod uses."""
        if "deletionTimestamp" in claim["metadata"] and claim["metadata"].get("finalizers"):
            self._client.call("PATCH", f"{_CLAIMS}/{claim['metadata']['name']}", {"metadata": {"finalizers": None}},
                              "application/merge-patch+json")

    def _write(self, pod: dict, phase: str, state: dict) -> None:
        container = {"name": pod["spec"]["containers"][0]["name"], "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": phase, "containerStatuses": [container | {"state": state}],
                  "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()}]}
        self._client.call("PATCH", f"{PODS}/{pod['metadata']['name']}/status", {"status": status}, "application/merge-patch+json")
        time.sleep(0.05)  # these are seconds apart in a cluster

    def _begin(self, pod: dict) -> None:
        """From the scheduler to the start of the container: each change that a kubelet writes."""
        name = pod["metadata"]["name"]
        self._client.call("POST", f"{PODS}/{name}/binding", {
            "metadata": {"name": name}, "target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"}})
        self._write(pod, "Pending", {"waiting": {"reason": "ContainerCreating"}})
        self._write(pod, "Running", {"running": {"startedAt": _now()}})

    def _run(self, pod: dict, build: str) -> None:
        """To the end: each report that a builder sends, and what the kubelet writes of it."""
        for told in self._told(pod["metadata"]["labels"], build):
            _report(pod, told)
            time.sleep(0.05)
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now(),
                 "message": json.dumps({name: value for name, value in told.items() if name != "plan"})}
        self._write(pod, "Succeeded", {"terminated": ended})

    def _told(self, labels: dict, build: str) -> list[dict]:
        end = {"version": 1, "step": -1, "done": True}
        if labels[_ROLE] == "prepare":
            return [end | {"plan": self._plan, "source": {"revision": "", "digest": _DIGEST}}]
        if labels[_ROLE] == "publish":
            image = {"reference": f"registry.example/team/{build}:1.0@{_DIGEST}", "digest": _DIGEST, "sizeBytes": 1 << 20, "layers": 2}
            return [end | {"image": image}]
        steps = len(json.loads(self._plan)["stages"][int(labels[_STAGE])]["steps"])
        return [{"version": 1, "step": step, "done": False} for step in range(steps)] + [end | {"step": steps - 1, "exportBytes": 4096}]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _turn(pod: dict) -> tuple[bool, str]:
    """Who was made ahead of its time waits for the others: publish for all stages, a stage for those before it."""
    labels = pod["metadata"]["labels"]
    return labels[_ROLE] == "publish", labels.get(_STAGE, "")


def _report(pod: dict, told: dict) -> None:
    environment = {entry["name"]: entry.get("value", "") for entry in pod["spec"]["containers"][0]["env"]}
    url = urllib.parse.urlsplit(environment["IMAGEBUILD_REPORT_URL"])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("POST", url.path, json.dumps(told), {"Authorization": f"Bearer {environment['IMAGEBUILD_REPORT_TOKEN']}"})
    status = connection.getresponse().status
    connection.close()
    if status != 204:
        raise AssertionError(f"the operator answered a report of {pod['metadata']['name']} with {status}")


def _owner(found: dict) -> str:
    return next((owner["name"] for owner in found["metadata"].get("ownerReferences", [])), "")
