"""Cases of tests/conformance, built through the operator: each image is the one that the command line builds."""

import io
import json
import os
import pathlib
import sys
import tarfile
import unittest

from harness.builder import Builder
from operator_case import OperatorTestCase
from source_server import SourceServer

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))

import case_file  # noqa: E402 (found by the line above)
import case_folder  # noqa: E402

# Of the cases that can be built in a cluster, every so many-th of each topic.
_EVERY = 4


def fit(case: case_file.Case) -> bool:
    """Whether an ImageBuild can say the same: no base of its own, no flags, nothing outside of the context."""
    outside = [member.path for member in case.members if not member.path.startswith("context/")]
    return not (case.fails or case.no_cluster or case.bases or case.flags or case.own_flags or case.environment or outside
                or not case.dockerfile_path.startswith("context/") or any("fifo" in member.attributes for member in case.members))


def chosen() -> list[case_file.Case]:
    """A representative part: from every topic, spread over it."""
    topics: dict[str, list[case_file.Case]] = {}
    for case in map(case_file.read, case_file.names()):
        if fit(case):
            topics.setdefault(case.topic, []).append(case)
    return [case for cases in topics.values() for case in cases[::_EVERY]]


def packed(context: pathlib.Path) -> bytes:
    """The context as a tar, with owners, modes, times, links and extended attributes as they are there."""
    def with_xattrs(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        path = context / entry.name
        entry.pax_headers = {f"SCHILY.xattr.{name}": os.getxattr(path, name, follow_symlinks=False).decode(errors="surrogateescape")
                             for name in os.listxattr(path, follow_symlinks=False)}
        return entry

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(context, arcname=".", filter=with_xattrs)
    return made.getvalue()


class OperatorConformanceTest(OperatorTestCase):
    def test_a_part_of_the_cases_has_the_digests_of_local_builds(self):
        if not self.cluster.machine:
            self.skipTest("pods of this cluster reach no server on this machine")
        cases = chosen()
        self.assertGreaterEqual(len(cases), 50, "too few cases to speak for all")
        served = self.folder / "served"
        served.mkdir()
        server = SourceServer(self.cluster.machine, served)
        self.addCleanup(server.close)
        for case in cases:
            case_folder.write(case, self.folder / case.name)
            (served / f"{self.object_name(case)}.tar").write_bytes(packed(self.folder / case.name / "context"))
        self.apply([self.of_case(case, server.url) for case in cases])
        wrong = {}
        for case in cases:
            local, ready = self.built_here(case), self.outcome(case)
            if local != ready or not local.startswith("sha256:"):
                wrong[case.name] = f"in the cluster: {ready}, here: {local}"
        self.assertEqual(wrong, {}, "\n".join(f"{name}: {what}" for name, what in wrong.items()))

    def object_name(self, case: case_file.Case) -> str:
        return case.name.replace("/", "-").replace("_", "-").lower()

    def of_case(self, case: case_file.Case, url: str) -> dict:
        name = self.object_name(case)
        spec: dict = {"source": {"http": {"url": f"{url}/{name}.tar"}}}
        if case.dockerfile_path != "context/Dockerfile":
            spec["dockerfile"] = case.dockerfile_path.removeprefix("context/")
        if case.target:
            spec["target"] = case.target
        if case.build_args:
            spec["buildArgs"] = [{"name": key, "value": value} for key, _, value in (word.partition("=") for word in case.build_args)]
        return self.image_build(name, None, **spec)

    def built_here(self, case: case_file.Case) -> str:
        """The digest of the image that the command line builds of the case, or how that failed."""
        if not hasattr(self, "builder"):
            (self.folder / "builder").mkdir()
            self.builder = Builder(self.folder / "builder", f"http://{self.cluster.registry}")
        folder = self.folder / case.name
        words = ["--metadata-file", folder / "metadata.json"] + (["--target", case.target] if case.target else [])
        words += [word for argument in case.build_args for word in ("--build-arg", argument)]
        words += ["--file", folder / case.dockerfile_path]
        built = self.builder.build(folder / "context", "--output", f"type=oci,dest={folder}/image", *words)
        if built.exit_code != 0:
            return built.output
        return json.loads((folder / "metadata.json").read_text())["containerimage.digest"]

    def outcome(self, case: case_file.Case) -> str:
        """The digest of the image that the operator built of the case, or how the build failed."""
        try:
            return self.wait_ready(self.object_name(case), 600)["image"]["digest"]
        except AssertionError as failure:
            return self.status(self.object_name(case)).get("failure", {}).get("message") or str(failure)


if __name__ == "__main__":
    unittest.main()
