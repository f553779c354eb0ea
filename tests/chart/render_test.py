#!/usr/bin/python3
"""What the chart renders, for several values, is what stands in golden/; charts/install.yaml is in step with it.

    render_test.py --write     writes golden/ and charts/install.yaml anew
"""

import re
import sys
import unittest

from chart import CHART, HERE, REGISTRY, TOP, helm, template

_INSTALL = TOP / "charts/install.yaml"
_INSTALL_HEAD = """\
# imagebuild for clusters without Helm; rendered from charts/imagebuild. docs/install.md says how to use it:
# put the place of your images where registry.example/imagebuild stands.
---
apiVersion: v1
kind: Namespace
metadata:
  name: imagebuild-system
"""
# Helm's own words, which mean nothing without it.
_HELMS_LINES = re.compile(r"(?m)^ *(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm)\n|^# Source: .*\n")
_LONG = ("crds.yaml", "dashboard.yaml")  # Other tests look at these.


def cases():
    return sorted((HERE / "values").glob("*.yaml"))


def rendered(values) -> str:
    kube_version = re.match(r"# kube-version: (\S+)", values.read_text())[1]
    pieces = re.split(r"(?m)^---\n", template("--values", values, kube_version=kube_version))
    return "---\n".join(piece for piece in pieces if not re.match(rf"# Source: \S+/({'|'.join(_LONG)})\n", piece))


def install_manifest() -> str:
    return _INSTALL_HEAD + _HELMS_LINES.sub("", template(REGISTRY, "--set=crds.keep=false"))


class RenderTest(unittest.TestCase):
    maxDiff = None

    def test_each_set_of_values_renders_as_before(self):
        for values in cases():
            with self.subTest(values.stem):
                self.assertEqual(rendered(values), (HERE / "golden" / values.name).read_text(),
                                 "if this is meant: tests/chart/render_test.py --write")

    def test_no_golden_file_is_left_over(self):
        self.assertEqual([path.name for path in sorted((HERE / "golden").iterdir())], [path.name for path in cases()])

    def test_lint_finds_nothing(self):
        for values in cases():
            helm("lint", "--strict", CHART, "--values", values)

    def test_the_manifest_for_users_without_helm_is_in_step(self):
        self.assertEqual(_INSTALL.read_text(), install_manifest(), "tests/chart/render_test.py --write")
        self.assertNotIn("Helm\n", re.sub("(?m)^#.*\n", "", install_manifest()))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        for case in cases():
            (HERE / "golden" / case.name).write_text(rendered(case))
        _INSTALL.write_text(install_manifest())
    else:
        unittest.main()
