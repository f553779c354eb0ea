"""An installation of the chart for one test. It watches the test's namespace and disturbs no other test."""

import json
import os
import re
import signal
import sys
import urllib.request
import uuid

import cluster_images
import operator_install
from harness import processes
from image_builds import HeldBuildsTestCase

_OPERATOR = "app.kubernetes.io/component=operator"
_LEASE = "imagebuild-operator"
_CRD = "imagebuilds.imagebuild.dev"


class ReleaseTestCase(HeldBuildsTestCase):
    """Wants no operator that watches all namespaces in the cluster."""

    def install(self, own_images: dict | None = None, **values) -> None:
        """Installs the chart with `values` over those that suit a test, and uninstalls it at the test's end."""
        self.release = f"own-{uuid.uuid4().hex[:8]}"
        self.release_namespace = self.enterContext(self.cluster.namespace("operator"))
        self._have_custom_resource()
        suited = {"watchNamespaces": [self.namespace], "crds": {"install": False}, "rbac": {"aggregate": False},
                  "readinessProbe": {"periodSeconds": 1}, "terminationGracePeriodSeconds": 10}
        self.addCleanup(self.cluster.helm, "uninstall", self.release, "--ignore-not-found", namespace=self.release_namespace)
        operator_install.install(self.cluster, self.release_namespace, self.release, suited | values, own_images)
        self.deployment = f"deployment/{operator_install.deployment(self.release)}"

    def _have_custom_resource(self) -> None:
        if self.cluster.get("crd", _CRD):
            return
        version = json.loads(self.cluster.kubectl("version", "--output", "json"))["serverVersion"]["gitVersion"]
        crd = self.cluster.helm("template", operator_install.RELEASE, cluster_images.CHART, "--kube-version", version,
                                "--show-only", "templates/crds.yaml", "--set", "images.registry=none.example")
        self.cluster.apply(crd, "--server-side", "--field-manager=helm")
        # So that the installation of ctest's fixture can take it over.
        self.cluster.kubectl("annotate", "crd", _CRD, f"meta.helm.sh/release-name={operator_install.RELEASE}",
                             f"meta.helm.sh/release-namespace={operator_install.NAMESPACE}")
        self.cluster.kubectl("wait", "--for=condition=Established", f"crd/{_CRD}", "--timeout=30s")

    def operator_kubectl(self, *words) -> str:
        """kubectl in the release's namespace."""
        return self.cluster.kubectl(*words, namespace=self.release_namespace)

    def operator_pods(self) -> list[str]:
        """The operator's pods that are not being deleted."""
        found = self.cluster.list("pods", self.release_namespace, _OPERATOR)
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def lease_holder(self) -> str:
        """The pod that the Lease names; empty if it names none."""
        lease = self.cluster.get("lease", _LEASE, self.release_namespace)
        return (lease or {}).get("spec", {}).get("holderIdentity") or ""

    def wait_leader(self, other_than: str = "", seconds: float = 60) -> str:
        """The pod that holds the Lease and says of itself that it leads."""
        def leader():
            name = self.lease_holder()
            return name if name and name != other_than and self.leads(name) else None
        return self.cluster.wait_until(leader, seconds, f"a pod other than '{other_than}' leads", self.release_namespace, ("lease", _LEASE))

    def leads(self, pod: str) -> bool:
        try:
            return self.metrics(pod)[f'leader_election_master_status{{name="{_LEASE}"}}'] == 1
        except OSError:
            return False

    def metrics_address(self, pod: str) -> str:
        """host:port; OSError if the pod has none."""
        found = self.cluster.get("pod", pod, self.release_namespace)
        address = (found or {}).get("status", {}).get("podIP")
        if not address:
            raise OSError(f"pod {pod} has no address")
        return f"{address}:8080"

    def metrics(self, pod: str) -> dict[str, float]:
        """Series → value, as the pod tells it now. OSError if it does not answer."""
        with urllib.request.urlopen(f"http://{self.metrics_address(pod)}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        samples = [re.fullmatch(r"(.*) (\S+)", line) for line in lines if line and not line.startswith("#")]
        return {sample[1]: float(sample[2]) for sample in samples}

    def kill_operator(self, pod: str) -> None:
        """SIGKILL to the operator's process in the pod, as in a crash."""
        if not self.cluster.machine:
            self.skipTest("the processes of the cluster of KUBECONFIG are not on this machine")
        found = processes.with_mark(f"POD_NAME={pod}")
        ids = [id for id, command in found.items() if command[0].endswith("imagebuild-operator")]
        self.assertEqual(len(ids), 1, found)
        os.kill(ids[0], signal.SIGKILL)

    def tearDown(self):
        super().tearDown()
        if not self._outcome.success:
            print(self.cluster.describe(self.release_namespace), file=sys.stderr)
            print(self.operator_kubectl("logs", "--selector", _OPERATOR, "--prefix", "--tail", "60"), file=sys.stderr)
