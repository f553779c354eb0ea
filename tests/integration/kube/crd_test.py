"""What a real API server does with the custom resource ImageBuild: what it refuses, and what people see of it.

Each test works on a copy of the CRD in a group of its own, so that whatever else uses the cluster is left alone.
"""

import copy
import json
import pathlib
import re

from cluster.case import ClusterTestCase
from cluster.cluster import Failure

CRDS = pathlib.Path(__file__).resolve().parents[3] / "crds"
CEL_SINCE = 25  # the minor version from which servers know x-kubernetes-validations

GOOD = {"source": {"git": {"url": "https://example.com/app.git"}}, "output": {"image": "registry.example/team/app:1.0"}}


def changed(**members) -> dict:
    """GOOD with these members of the spec; None removes one."""
    spec = copy.deepcopy(GOOD) | members
    return {name: value for name, value in spec.items() if value is not None}


def source(kind: str, **members) -> dict:
    return changed(source={kind: members})


# name: spec. No text in them is empty: Kubernetes 1.20 compiled with a newer Go than its own takes that for null.
ACCEPTED = {
    "least": GOOD,
    "git with all": source("git", url="git@example.com:team/app.git", revision="v1.0", secretRef={"name": "a.b-c"}, depth=0,
                           submodules=True),
    "http": source("http", url="https://example.com/a.tar.gz", sha256="0" * 64),
    "inline": source("inline", files={"Dockerfile": "FROM scratch\n", "dir/file": "text\n"}),
    "config map": source("configMapRef", name="context"),
    "claim": source("persistentVolumeClaim", claimName="context"),
    "oci by digest": source("oci", image="registry.example:5000/context@sha256:" + "a" * 64),
    "sub path": changed(source=GOOD["source"] | {"subPath": "services/app"}),
    "inline dockerfile": changed(dockerfileInline="FROM scratch\n"),
    "build args": changed(buildArgs=[{"name": "A", "value": "1"},
                                     {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k.v"}}}]),
    "secrets": changed(secrets=[{"id": "npm_token", "secretKeyRef": {"name": "s", "key": "token"}}]),
    "quantities as text and numbers": changed(stageDefaults={"resources": {"requests": {"cpu": "500m", "memory": "1Gi"},
                                                                           "limits": {"cpu": 2, "example.com/gpu": "1"}}}),
    "affinity of any shape": changed(stages=[{"name": "build", "affinity": {"nodeAffinity": {"whatever": [1, {"a": None}]}},
                                              "tolerations": [{"operator": "Exists"}]}]),
    "artifacts in a registry": changed(artifacts={"transport": "Registry", "repository": "registry.example/cache"}),
    "artifacts in a volume": changed(artifacts={"transport": "Volume", "volume": {"size": "10Gi", "accessModes": ["ReadWriteMany"]}}),
    "times": changed(timeout="1h30m", stageTimeout="0.5h", retries=0, ttlSecondsAfterFinished=0),
    "suspended": changed(suspend=True, cancel=False),
}

# name: (spec, the field that the server must name)
REFUSED = {
    "nothing": ({}, "spec.source"),
    "no output": (changed(output=None), "spec.output"),
    "no image": (changed(output={}), "spec.output.image"),
    "empty image": (changed(output={"image": ""}), "spec.output.image"),
    "image with a space": (changed(output={"image": "a b"}), "spec.output.image"),
    "image that is a number": (changed(output={"image": 5}), "spec.output.image"),
    "tag with a slash": (changed(output=GOOD["output"] | {"additionalTags": ["a/b"]}), "spec.output.additionalTags"),
    "the same tag twice": (changed(output=GOOD["output"] | {"additionalTags": ["a", "a"]}), "spec.output.additionalTags[1]"),
    "unknown compression": (changed(output=GOOD["output"] | {"compression": "bzip2"}), "spec.output.compression"),
    "git without a url": (source("git"), "spec.source.git.url"),
    "git option as url": (source("git", url="--upload-pack=evil"), "spec.source.git.url"),
    "git option as revision": (source("git", url="https://example.com/a", revision="--orphan"), "spec.source.git.revision"),
    "git depth below zero": (source("git", url="https://example.com/a", depth=-1), "spec.source.git.depth"),
    "file url": (source("http", url="file:///etc/passwd"), "spec.source.http.url"),
    "short sha256": (source("http", url="https://example.com/a", sha256="abc"), "spec.source.http.sha256"),
    "no files": (source("inline", files={}), "spec.source.inline.files"),
    "config map that is no name": (source("configMapRef", name="Not_A_Name"), "spec.source.configMapRef.name"),
    "claim without a name": (source("persistentVolumeClaim"), "spec.source.persistentVolumeClaim.claimName"),
    "the same build arg twice": (changed(buildArgs=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), "spec.buildArgs[1]"),
    "build arg without a name": (changed(buildArgs=[{"value": "1"}]), "spec.buildArgs"),
    "build arg that is no name": (changed(buildArgs=[{"name": "1A", "value": "1"}]), "spec.buildArgs"),
    "secret without a key": (changed(secrets=[{"id": "a", "secretKeyRef": {"name": "s"}}]), "spec.secrets"),
    "the same stage twice": (changed(stages=[{"name": "a"}, {"name": "a"}]), "spec.stages[1]"),
    "quantity that is none": (changed(stageDefaults={"resources": {"limits": {"cpu": "lots"}}}), "spec.stageDefaults.resources.limits.cpu"),
    "toleration of nothing": (changed(stages=[{"name": "a", "tolerations": [{"operator": "Maybe"}]}]), "spec.stages"),
    "unknown transport": (changed(artifacts={"transport": "Pigeon"}), "spec.artifacts.transport"),
    "unknown access mode": (changed(artifacts={"volume": {"accessModes": ["ReadOnlyMany"]}}), "spec.artifacts.volume.accessModes"),
    "timeout without a unit": (changed(timeout="60"), "spec.timeout"),
    "too many retries": (changed(retries=11), "spec.retries"),
    "retries as text": (changed(retries="2"), "spec.retries"),
    "target with a space": (changed(target="a b"), "spec.target"),
    "suspend as text": (changed(suspend="yes"), "spec.suspend"),
}

# What only rules in CEL can say: name: (spec, field, the rule's words)
REFUSED_BY_RULES = {
    "no source": (changed(source={}), "spec.source", "exactly one of git"),
    "two sources": (changed(source=GOOD["source"] | {"oci": {"image": "a"}}), "spec.source", "exactly one of git"),
    "two dockerfiles": (changed(dockerfile="a", dockerfileInline="FROM scratch"), "spec", "only one of dockerfile"),
    "build arg without a value": (changed(buildArgs=[{"name": "A"}]), "spec.buildArgs[0]", "exactly one of value"),
    "registry without repository": (changed(artifacts={"transport": "Registry"}), "spec.artifacts", "repository must be set"),
}


class CrdTest(ClusterTestCase):
    def setUp(self):
        super().setUp()
        version = json.loads(self.cluster.kubectl("version", "--output", "json"))["serverVersion"]
        self.minor = int(re.match(r"\d+", version["minor"]).group())

    def definition(self) -> dict:
        """The CRD of crds/, without rules in CEL where the server does not know them, as the Helm chart installs it."""
        def known(value):
            if isinstance(value, dict):
                unknown = {"x-kubernetes-validations"} if self.minor < CEL_SINCE else set()
                return {name: known(member) for name, member in value.items() if name not in unknown}
            return [known(member) for member in value] if isinstance(value, list) else value

        printed = self.cluster.kubectl("create", "--dry-run=client", "--validate=false", "--output", "json", "--filename", CRDS)
        return known(json.loads(printed))

    def serve(self) -> None:
        """Makes the copy of the CRD, and waits until it is served."""
        self.group = f"{self.namespace}.example.com"
        self.kind = f"imagebuilds.{self.group}"
        definition = self.definition() | {"metadata": {"name": self.kind}}
        definition["spec"]["group"] = self.group
        self.addCleanup(self.cluster.kubectl, "delete", "crd", self.kind, "--wait=false", "--ignore-not-found")
        self.cluster.apply(definition, "--server-side")
        self.cluster.kubectl("wait", "--for=condition=Established", f"crd/{self.kind}", "--timeout=30s")
        self.cluster.wait_until(self.is_served, 30, "the copy of the CRD is served")

    def is_served(self) -> bool:
        try:
            self.kubectl("get", self.kind)
            return True
        except Failure:
            return False

    def build(self, name: str, spec: dict) -> dict:
        return {"apiVersion": f"{self.group}/v1alpha1", "kind": "ImageBuild", "metadata": {"name": name}, "spec": spec}

    def refusal(self, spec: dict) -> str:
        """What the server says against this spec; empty if nothing. Nothing is stored."""
        try:
            self.kubectl("create", "--dry-run=server", "--validate=false", "--filename", "-", input=json.dumps(self.build("a", spec)))
            return ""
        except Failure as failure:
            return str(failure)

    def test_the_server_takes_the_file_as_it_is(self):
        # Old servers refuse to apply what they do not know, but drop it from what is created.
        words = ["apply", "--server-side", "--force-conflicts"] if self.minor >= CEL_SINCE else ["apply", "--validate=false"]
        self.cluster.kubectl(*words, "--dry-run=server", "--filename", CRDS)

    def test_the_server_keeps_every_word_of_the_schema(self):
        self.serve()
        stored = self.cluster.get("crd", self.kind)
        conditions = {condition["type"]: condition for condition in stored["status"]["conditions"]}
        self.assertEqual(conditions["NamesAccepted"]["status"], "True", conditions)
        self.assertNotEqual(conditions.get("NonStructuralSchema", {}).get("status"), "True", conditions)
        self.assertEqual(stored["spec"]["versions"][0]["schema"], self.definition()["spec"]["versions"][0]["schema"])

    def test_good_image_builds_are_taken(self):
        self.serve()
        for name, spec in ACCEPTED.items():
            with self.subTest(name):
                self.assertEqual(self.refusal(spec), "")

    def test_bad_image_builds_are_refused_with_the_field(self):
        self.serve()
        for name, (spec, field) in REFUSED.items():
            with self.subTest(name):
                self.assertRegex(self.refusal(spec), rf"(?<![\w.]){re.escape(field)}(?!\w)")

    def test_rules_over_several_fields_are_kept_where_the_server_knows_them(self):
        if self.minor < CEL_SINCE:
            self.skipTest(f"Kubernetes 1.{self.minor} knows no rules in CEL; the operator checks them")
        self.serve()
        for name, (spec, field, words) in REFUSED_BY_RULES.items():
            with self.subTest(name):
                said = self.refusal(spec)
                self.assertIn(field, said)
                self.assertIn(words, said)

    def test_applying_again_changes_nothing(self):
        self.serve()
        for name, spec in ACCEPTED.items():
            with self.subTest(name):
                text = json.dumps(self.build(re.sub(r"\W", "-", name), spec))
                applied = [self.kubectl("apply", "--server-side", "--output", "json", "--filename", "-", input=text) for _ in range(2)]
                versions = [json.loads(printed)["metadata"]["resourceVersion"] for printed in applied]
                self.assertEqual(versions[0], versions[1])
                self.kubectl("diff", "--server-side", "--filename", "-", input=text)

    def test_a_field_that_the_schema_does_not_know_is_dropped(self):
        self.serve()
        self.kubectl("create", "--validate=false", "--filename", "-", input=json.dumps(self.build("a", changed(dockerFile="x"))))
        self.assertEqual(self.get(self.kind, "a")["spec"], GOOD)

    def test_lists_show_how_a_build_goes(self):
        self.serve()
        self.apply(self.build("app", GOOD))
        self.assertEqual(self.columns(), {"NAME": "app", "IMAGE": "registry.example/team/app:1.0"})
        now = "2024-05-01T12:00:00Z"
        condition = {"type": "Ready", "status": "False", "reason": "Building", "message": "1 stage of 5 runs", "lastTransitionTime": now}
        status = {"conditions": [condition], "stageSummary": "3/5", "duration": "1m5s", "image": {"digest": "sha256:" + "a" * 64}}
        self.kubectl("patch", self.kind, "app", "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))
        shown = {"NAME": "app", "READY": "False", "REASON": "Building", "STAGES": "3/5", "IMAGE": "registry.example/team/app:1.0"}
        self.assertEqual(self.columns(), shown)
        self.assertEqual(self.columns("--output", "wide"), shown | {"DIGEST": "sha256:" + "a" * 64, "DURATION": "1m5s"})

    def columns(self, *words) -> dict:
        """The only line of a list by its header, without what is empty and the age."""
        header, line = self.kubectl("get", self.kind, *words).splitlines()
        starts = [found.start() for found in re.finditer(r"\S+", header)]
        values = [line[start:end].strip() for start, end in zip(starts, starts[1:] + [None])]
        return {name: value for name, value in zip(header.split(), values) if value and name != "AGE"}

    def test_explain_tells_what_fields_mean(self):
        self.serve()

        def explain(field: str) -> str:
            try:
                return self.kubectl("explain", f"{self.kind}.{field}")
            except Failure:  # the server publishes the schema a while after it serves the resource
                return ""

        said = self.cluster.wait_until(lambda: explain("spec.source"), 60, "the schema is published")
        self.assertIn("exactly one of git, http, inline", " ".join(said.split()))
        self.assertIn("A Git repository.", said)
        self.assertIn("Path of the Dockerfile in the context.", " ".join(explain("spec.dockerfile").split()))
        self.assertIn("Digest of its manifest.", " ".join(explain("status.history").split()))
