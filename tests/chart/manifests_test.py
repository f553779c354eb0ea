#!/usr/bin/python3
"""ImageBuilds in examples/ and in the documentation are valid by the schema of the custom resource."""

import re
import unittest

import yaml

from chart import TOP

_SCHEMA = yaml.safe_load((TOP / "crds/imagebuild.dev_imagebuilds.yaml").read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}


def mistakes(value, schema: dict, path: str = "") -> list[str]:
    """What the API server would refuse: unknown and missing fields, types, enums, patterns."""
    found = []
    if "type" in schema and not isinstance(value, _TYPES[schema["type"]]):
        return [f"{path} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is not one of {schema['enum']}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{path} does not look like {schema['pattern']}")
    if isinstance(value, dict):
        found += [f"{path}.{key} is missing" for key in schema.get("required", []) if key not in value]
        for key, part in value.items():
            below = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if below:
                found += mistakes(part, below, f"{path}.{key}")
            elif not schema.get("x-kubernetes-preserve-unknown-fields") and path != ".metadata":
                found.append(f"{path}.{key} is unknown")
    if isinstance(value, list):
        for index, part in enumerate(value):
            found += mistakes(part, schema["items"], f"{path}[{index}]")
    return found


def manifests():
    """(where, ImageBuild) of each whole one in a YAML file of examples/ or in a YAML block of a page."""
    texts = [(path, path.read_text()) for path in sorted((TOP / "examples").rglob("*.yaml"))]
    for page in [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md")), *sorted((TOP / "examples").rglob("*.md"))]:
        texts += [(page, block) for block in re.findall(r"(?s)```yaml\n(.*?)```", page.read_text())]
    for path, text in texts:
        if re.search(r"(?m)^kind: ImageBuild$", text):
            for document in yaml.safe_load_all(text):
                if document and document.get("kind") == "ImageBuild" and "spec" in document:
                    yield str(path.relative_to(TOP)), document


class ManifestsTest(unittest.TestCase):
    def test_every_imagebuild_is_valid(self):
        seen = set()
        for where, manifest in manifests():
            with self.subTest(where):
                self.assertEqual(mistakes(manifest, _SCHEMA), [])
                sources = set(manifest["spec"]["source"]) - {"subPath"}
                self.assertEqual(len(sources), 1, "exactly one source")
            seen.add(where)
        self.assertLessEqual({"examples/hello/imagebuild.yaml", "docs/migrating.md", "docs/reference/imagebuild.md"}, seen)

    def test_a_mistake_is_found(self):
        good = next(manifest for _, manifest in manifests())
        self.assertEqual(mistakes(good | {"spec": good["spec"] | {"sources": {}}}, _SCHEMA), [".spec.sources is unknown"])
        self.assertEqual(mistakes(good | {"spec": {"source": {}}}, _SCHEMA), [".spec.output is missing"])
        self.assertEqual(mistakes(good | {"spec": good["spec"] | {"retries": "2"}}, _SCHEMA), [".spec.retries is no integer"])

    def test_hello_is_the_example_of_that_name(self):
        folder = TOP / "examples/hello"
        files = yaml.safe_load((folder / "imagebuild.yaml").read_text())["spec"]["source"]["inline"]["files"]
        self.assertEqual(set(files), {"Dockerfile", "Makefile", "hello.c", "test.sh"})
        for name, text in files.items():
            expected = (folder / name).read_text().replace("RUN ./test.sh", "RUN sh test.sh")
            self.assertEqual(text, expected, name)


if __name__ == "__main__":
    unittest.main()
