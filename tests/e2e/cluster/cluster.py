"""A running cluster as a test sees it: attach() finds the one that ctest's fixture brought up."""

import contextlib
import json
import os
import pathlib
import subprocess
import time
import uuid

from harness import processes


def attach() -> "Cluster":
    """The cluster whose state is in the file that IMAGEBUILD_CLUSTER names; see up.py --state."""
    path = os.environ.get("IMAGEBUILD_CLUSTER")
    if not path or not pathlib.Path(path).is_file():
        raise AssertionError(f"IMAGEBUILD_CLUSTER={path!r} is no file: bring a cluster up with tests/e2e/cluster/up.py --state")
    return Cluster(json.loads(pathlib.Path(path).read_text()))


class Failure(AssertionError):
    """kubectl said no; str() is what it printed."""


class Cluster:
    def __init__(self, state: dict):
        self.state = state
        self.kubeconfig: str = state["kubeconfig"]
        # host:port, plain HTTP, the same for pods and this machine; it is docker.io's mirror too.
        self.registry: str = state["registry"]
        self.machine: str = state.get("machine", "")  # the address at which pods reach servers of a test
        self.nodes: list[str] = state["nodes"]

    def kubectl(self, *words, input: str | None = None, namespace: str = "", seconds: float = 120) -> str:
        """What kubectl prints."""
        place = ["--namespace", namespace] if namespace else []
        return self._run([self.state["kubectl"], *place, *words], input, seconds)

    def helm(self, *words, namespace: str = "", seconds: float = 300) -> str:
        place = ["--namespace", namespace] if namespace else []
        return self._run([self.state["helm"], *place, *words], None, seconds)

    def _run(self, words, input: str | None, seconds: float) -> str:
        done = subprocess.run([str(word) for word in words], input=input or "", capture_output=True, text=True, timeout=seconds,
                              env=os.environ | {"KUBECONFIG": self.kubeconfig}, preexec_fn=processes.die_with_parent)
        if done.returncode != 0:
            raise Failure(f"{' '.join(map(str, words[1:]))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def apply(self, what: dict | list[dict] | str, *words, namespace: str = "") -> str:
        """Applies an object, several, or YAML text, as a user does; further words go to kubectl apply."""
        if isinstance(what, list):
            what = {"apiVersion": "v1", "kind": "List", "items": what}
        text = what if isinstance(what, str) else json.dumps(what)
        return self.kubectl("apply", "--filename", "-", *words, input=text, namespace=namespace)

    def get(self, kind: str, name: str, namespace: str = "") -> dict | None:
        """The object, or None if there is none."""
        text = self.kubectl("get", kind, name, "--output", "json", "--ignore-not-found", namespace=namespace)
        return json.loads(text) if text.strip() else None

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[dict]:
        words = ["--selector", selector] if selector else []
        return json.loads(self.kubectl("get", kind, "--output", "json", *words, namespace=namespace))["items"]

    def wait_until(self, predicate, seconds: float, what: str, namespace: str = "", about: tuple[str, str] | None = None):
        """Polls until predicate() gives something true, and returns that.

        A failure shows the object `about` (kind, name), and the pods and events of the namespace.
        """
        deadline = time.monotonic() + seconds
        while not (value := predicate()):
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds:g} s still not: {what}\n{self.describe(namespace, about)}")
            time.sleep(0.15)
        return value

    def wait_for(self, kind: str, name: str, predicate, seconds: float, what: str, namespace: str = "") -> dict:
        """Polls until the object exists and predicate(object) is true, and returns the object."""
        def reached():
            found = self.get(kind, name, namespace)
            return found if found and predicate(found) else None
        return self.wait_until(reached, seconds, what, namespace, (kind, name))

    def wait_for_condition(self, kind: str, name: str, condition: str, status: str, seconds: float, namespace: str = "") -> dict:
        return self.wait_for(kind, name, lambda found: condition_of(found, condition).get("status") == status, seconds,
                             f"{kind} {name} has {condition}={status}", namespace)

    def wait_for_pod_end(self, name: str, namespace: str, seconds: float = 60) -> dict:
        """The pod once it has succeeded or failed."""
        return self.wait_for("pod", name, lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"), seconds,
                             f"pod {name} has ended", namespace)

    def describe(self, namespace: str, about: tuple[str, str] | None = None) -> str:
        """What a person would look at after a failure."""
        commands = [["get", "pods", "--output", "wide"], ["get", "events", "--sort-by", ".lastTimestamp"]]
        if about:
            commands.insert(0, ["get", *about, "--output", "yaml"])
        shown = []
        for words in commands:
            try:
                printed = self.kubectl(*words, namespace=namespace)
            except Failure as failure:
                printed = str(failure)
            shown.append(f"--- kubectl {' '.join(words)}\n{printed}")
        return "\n".join(shown)

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test"):
        """A fresh namespace in which pods can run at once; deleted at the end, which is not waited for."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.kubectl("create", "namespace", name)
        try:
            self.wait_until(lambda: self.get("serviceaccount", "default", name), 30, "the default service account exists", name)
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")


def condition_of(found: dict, type: str) -> dict:
    """The condition of that type, {} if the object does not have it."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == type), {})
