"""The test case of everything that the operator does: ImageBuilds in a namespace of their own."""

import json
import pathlib
import sys
import tempfile

from cluster.case import ClusterTestCase
from cluster.cluster import Failure, condition_of
from harness.image import Image
from operator_install import NAMESPACE, deployment
from pod_watch import PodWatch


class OperatorTestCase(ClusterTestCase):
    """Wants the operator of ctest's fixture in the cluster; operator_install.py up installs it by hand."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="imagebuild-e2e-")))

    def _callTestMethod(self, method):
        try:
            super()._callTestMethod(method)
        except AssertionError:
            print(self.describe(), file=sys.stderr)
            raise

    def repository(self, name: str) -> str:
        """Where the image of the ImageBuild of that name goes, without a tag."""
        return f"{self.cluster.registry}/{self.namespace}/{name}"

    def image_build(self, name: str, dockerfile: str | None, files: dict[str, str] | None = None, /, **spec) -> dict:
        """An ImageBuild of inline files, or of the `source` in spec; further fields of the spec go over what is here."""
        inline = (files or {}) | ({"Dockerfile": dockerfile} if dockerfile else {})
        output = {"image": f"{self.repository(name)}:1"} | spec.pop("output", {})
        return {"apiVersion": "imagebuild.dev/v1alpha1", "kind": "ImageBuild", "metadata": {"name": name},
                "spec": {"source": {"inline": {"files": inline}}, "output": output} | spec}

    def build(self, name: str, dockerfile: str | None, files: dict[str, str] | None = None, /, **spec) -> None:
        """Applies image_build(…)."""
        self.apply(self.image_build(name, dockerfile, files, **spec))

    def patch(self, name: str, **spec) -> None:
        """Changes fields of the spec."""
        self.kubectl("patch", "imagebuild", name, "--type", "merge", "--patch", json.dumps({"spec": spec}))

    def status(self, name: str) -> dict:
        found = self.get("imagebuild", name)
        self.assertIsNotNone(found, f"there is no ImageBuild {name}")
        return found.get("status", {})

    def condition(self, name: str, type: str) -> dict:
        return condition_of({"status": self.status(name)}, type)

    def wait_ready(self, name: str, seconds: float = 90) -> dict:
        """The status once the image that the newest spec asks for is there; fails at once when the build does."""
        def ready(found: dict) -> bool:
            if _is(found, "Stalled", "True"):
                raise AssertionError(f"{name} failed: {json.dumps(found['status'], indent=1)}")
            return _is(found, "Ready", "True")
        return self.wait_for("imagebuild", name, ready, seconds, f"{name} is Ready")["status"]

    def wait_failed(self, name: str, reason: str, seconds: float = 60) -> dict:
        """The status once the build of the newest spec failed for good, for that reason."""
        def failed(found: dict) -> bool:
            self.assertFalse(_is(found, "Ready", "True"), f"{name} was built")
            return _is(found, "Stalled", "True")
        found = self.wait_for("imagebuild", name, failed, seconds, f"{name} has failed")
        ready, stalled = condition_of(found, "Ready"), condition_of(found, "Stalled")
        self.assertEqual((ready["status"], ready["reason"], stalled["reason"]), ("False", reason, reason), ready["message"])
        self.assertEqual(condition_of(found, "Reconciling"), {})
        return found["status"]

    def wait_reason(self, name: str, reason: str, seconds: float = 30) -> str:
        """The message of a build that goes on, once it says that it waits for this reason."""
        def waits(found: dict) -> bool:
            self.assertFalse(_is(found, "Stalled", "True"), f"{name} failed instead: {condition_of(found, 'Ready')}")
            return condition_of(found, "Ready").get("reason") == reason
        found = self.wait_for("imagebuild", name, waits, seconds, f"{name} has the reason {reason}")
        self.assertEqual(condition_of(found, "Reconciling").get("reason"), reason)
        return condition_of(found, "Ready")["message"]

    def events(self, name: str) -> list[dict]:
        """The events on the ImageBuild, in no order."""
        return [event for event in self.cluster.list("events.events.k8s.io", self.namespace)
                if event["regarding"].get("kind") == "ImageBuild" and event["regarding"].get("name") == name]

    def pods(self, name: str, role: str = "") -> list[dict]:
        """The pods that now are there for the ImageBuild: all, or those of a role (prepare, stage, publish)."""
        selector = f"app.kubernetes.io/managed-by=imagebuild,imagebuild.dev/build={name}"
        return self.cluster.list("pods", self.namespace, f"{selector},imagebuild.dev/role={role}" if role else selector)

    def watch_pods(self) -> PodWatch:
        """From now on notes all pods of the namespace, for the builds that are over before anybody looks."""
        watch = PodWatch(self.cluster, self.namespace)
        self.addCleanup(watch.close)
        return watch

    def image(self, name: str) -> Image:
        """What the build pushed, read back."""
        return self.read(self.status(name)["image"]["reference"])

    def read(self, reference: str) -> Image:
        """An image of the cluster's registry."""
        repository, at, digest = reference.partition("@")
        if at:  # skopeo wants a tag or a digest
            reference = repository.rpartition(":")[0] + at + digest if ":" in repository.rpartition("/")[2] else reference
        return Image(f"docker://{reference}", pathlib.Path(tempfile.mkdtemp(dir=self.folder, prefix="image-")))

    def assert_prints(self, image: Image, expected: str, *command: str) -> None:
        done = image.run(*command)
        self.assertEqual((done.returncode, done.stdout), (0, expected), done.stderr)

    def describe(self) -> str:
        """What a person would look at after a failure."""
        shown = [self.cluster.describe(self.namespace), self._show("get", "imagebuilds", "--output", "yaml")]
        for pod in self.cluster.list("pods", self.namespace):
            shown.append(self._show("logs", pod["metadata"]["name"], "--tail", "40"))
        logs = self._show("logs", "--selector", "app.kubernetes.io/component=operator", "--prefix", "--tail", "2000", namespace=NAMESPACE)
        shown.append(f"--- {deployment()}\n" + "\n".join([line for line in logs.splitlines() if self.namespace in line][-60:]))
        return "\n".join(shown)

    def _show(self, *words, namespace: str = "") -> str:
        try:
            printed = self.cluster.kubectl(*words, namespace=namespace or self.namespace)
        except Failure as failure:
            printed = str(failure)
        return f"--- kubectl {' '.join(words)}\n{printed}"


def _is(found: dict, condition: str, status: str) -> bool:
    """Whether the condition has that status, and speaks of the newest spec."""
    newest = found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
    return newest and condition_of(found, condition).get("status") == status
