"""What an ImageBuild becomes in a cluster: stages in pods, an image in the registry, and a status that says so."""

import unittest

from harness.case import EXAMPLES
from operator_case import OperatorTestCase


class OperatorBuildsTest(OperatorTestCase):
    def test_the_example_is_applied_built_and_greets(self):
        manifest = (EXAMPLES / "hello/imagebuild.yaml").read_text().replace("registry.example", f"{self.cluster.registry}/{self.namespace}")
        self.apply(manifest)
        self.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "imagebuild/hello", seconds=150)
        self.assert_prints(self.image("hello"), "Hello, world!\n")


if __name__ == "__main__":
    unittest.main()
