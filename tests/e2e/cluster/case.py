"""The test case that every test on a cluster derives from."""

import os
import unittest

from .cluster import attach


def skip_without_root(test: unittest.TestCase) -> None:
    """Skips the test, or fails it in CI, where the cluster would have to be started without root."""
    if os.geteuid() == 0 or os.environ.get("KUBECONFIG"):
        return
    if os.environ.get("CI") == "true":
        test.fail("needs root: a cluster is started on this machine")
    test.skipTest("needs root: a cluster is started on this machine")


class ClusterTestCase(unittest.TestCase):
    """Gives each test the cluster of ctest's fixture and a namespace of its own."""

    def setUp(self):
        skip_without_root(self)
        self.cluster = attach()
        self.namespace = self.enterContext(self.cluster.namespace())

    def kubectl(self, *words, **kwargs) -> str:
        """kubectl in the test's namespace."""
        return self.cluster.kubectl(*words, namespace=self.namespace, **kwargs)

    def apply(self, what, *words) -> str:
        return self.cluster.apply(what, *words, namespace=self.namespace)

    def get(self, kind: str, name: str) -> dict | None:
        return self.cluster.get(kind, name, self.namespace)

    def wait_for(self, kind: str, name: str, predicate, seconds: float, what: str) -> dict:
        return self.cluster.wait_for(kind, name, predicate, seconds, what, self.namespace)
