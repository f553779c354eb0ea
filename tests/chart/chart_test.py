#!/usr/bin/python3
"""The chart keeps its promises: least rights, a hardened pod, the right APIs for each server, no typo taken."""

import json
import re
import unittest

import yaml

from chart import CHART, REGISTRY, TOP, Refused, objects, one, template

_CRD = TOP / "crds/imagebuild.dev_imagebuilds.yaml"

# Everything that the operator may do where it builds: (group, resource) → verbs.
_RIGHTS = {
    ("imagebuild.dev", "imagebuilds"): {"get", "list", "watch"},
    ("imagebuild.dev", "imagebuilds/status"): {"get", "patch", "update"},
    ("imagebuild.dev", "imagebuilds/finalizers"): {"update"},
    ("", "pods"): {"get", "list", "watch", "create", "delete"},
    ("", "pods/log"): {"get"},
    ("", "persistentvolumeclaims"): {"get", "list", "watch", "create", "delete"},
    ("", "configmaps"): {"get", "list", "watch", "create", "update", "delete"},
    ("", "secrets"): {"get"},
    ("", "events"): {"create", "patch"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
_CLUSTER_RIGHTS = {("storage.k8s.io", "storageclasses"): {"get", "list"}}


def rights(roles: list[dict]) -> dict:
    found = {}
    for rule in (rule for role in roles for rule in role["rules"]):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def roles_of(account: str, found: list[dict], kind: str) -> list[dict]:
    """The roles that bindings of one kind give to the service account."""
    names = [(binding["metadata"].get("namespace"), binding["roleRef"]["name"]) for binding in found
             if binding["kind"] == f"{kind}Binding" and binding["subjects"][0]["name"] == account]
    return [role for role in found if role["kind"] == kind and (role["metadata"].get("namespace"), role["metadata"]["name"]) in names]


def without_rules(node):
    if isinstance(node, dict):
        return {key: without_rules(value) for key, value in node.items() if key != "x-kubernetes-validations"}
    return [without_rules(value) for value in node] if isinstance(node, list) else node


class ChartTest(unittest.TestCase):
    def assert_refused(self, words: list[str], expected: str) -> None:
        with self.assertRaises(Refused, msg=f"{words} was taken") as raised:
            template(*words)
        self.assertIn(expected, str(raised.exception))

    def test_the_version_is_that_of_the_programs(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        version = re.search(r"project\(imagebuild VERSION (\S+)", (TOP / "CMakeLists.txt").read_text())[1]
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))

    def test_the_custom_resource_is_a_copy(self):
        self.assertEqual((CHART / "files" / _CRD.name).read_bytes(), _CRD.read_bytes(),
                         f"cp crds/{_CRD.name} charts/imagebuild/files/ && tests/chart/render_test.py --write")

    def test_the_custom_resource_has_rules_only_where_the_server_knows_them(self):
        source = yaml.safe_load(_CRD.read_text())
        for version, spec in (("1.31.0", source["spec"]), ("1.25.0", source["spec"]), ("1.24.9", without_rules(source["spec"])),
                              ("1.20.2-debian", without_rules(source["spec"]))):
            with self.subTest(version):
                crd = one("CustomResourceDefinition", objects(REGISTRY, kube_version=version))
                self.assertEqual(crd["spec"], spec)
                self.assertEqual(crd["metadata"]["annotations"], {"helm.sh/resource-policy": "keep"})
        self.assertNotEqual(source["spec"], without_rules(source["spec"]))

    def test_the_custom_resource_can_be_left_out_or_given_up(self):
        self.assertNotIn("CustomResourceDefinition", [each["kind"] for each in objects(REGISTRY, "--set=crds.install=false")])
        crd = one("CustomResourceDefinition", objects(REGISTRY, "--set=crds.keep=false"))
        self.assertNotIn("annotations", crd["metadata"])

    def test_apis_are_those_of_the_oldest_and_the_newest_server(self):
        for version, expected in (("1.20.2", "policy/v1beta1"), ("1.21.0", "policy/v1"), ("1.36.0", "policy/v1")):
            self.assertEqual(one("PodDisruptionBudget", objects(REGISTRY, kube_version=version))["apiVersion"], expected)

    def test_the_operator_has_no_more_rights_than_it_uses(self):
        found = objects(REGISTRY)
        self.assertEqual(rights(roles_of("imagebuild", found, "ClusterRole")), _RIGHTS | _CLUSTER_RIGHTS)
        leader, = roles_of("imagebuild", found, "Role")
        self.assertEqual(leader["metadata"]["namespace"], "imagebuild-system")
        self.assertEqual(leader["rules"], [
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["imagebuild-operator"],
             "verbs": ["get", "update"]}])

    def test_in_named_namespaces_it_has_rights_only_there(self):
        found = objects(REGISTRY, "--set=watchNamespaces={team-a,team-b}")
        self.assertEqual(rights(roles_of("imagebuild", found, "ClusterRole")), _CLUSTER_RIGHTS)
        for namespace in ("team-a", "team-b"):
            role, = [role for role in roles_of("imagebuild", found, "Role") if role["metadata"]["namespace"] == namespace]
            self.assertEqual(rights([role]), _RIGHTS)
        arguments = one("Deployment", found)["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual([word for word in arguments if word.startswith("--namespace")], ["--namespace=team-a", "--namespace=team-b"])

    def test_viewers_see_and_editors_change_imagebuilds(self):
        roles = {role["metadata"]["name"]: role for role in objects(REGISTRY) if role["kind"] == "ClusterRole"}
        to = "rbac.authorization.k8s.io/aggregate-to-"
        for name, targets, verbs in (("imagebuild-view", {"view", "edit", "admin"}, {"get", "list", "watch"}),
                                     ("imagebuild-edit", {"edit", "admin"}, {"create", "update", "patch", "delete", "deletecollection"})):
            labels = roles[name]["metadata"]["labels"]
            self.assertEqual({key.removeprefix(to) for key in labels if key.startswith(to) and labels[key] == "true"}, targets)
            self.assertEqual(rights([roles[name]])[("imagebuild.dev", "imagebuilds")], verbs)
        self.assertNotIn(("imagebuild.dev", "imagebuilds/status"), rights([roles["imagebuild-edit"]]))

    def test_the_operators_pod_is_hardened(self):
        pod = one("Deployment", objects(REGISTRY))["spec"]["template"]["spec"]
        self.assertLessEqual({"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}.items(),
                             pod["securityContext"].items())
        container, = pod["containers"]
        self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                        "capabilities": {"drop": ["ALL"]}})
        self.assertNotIn("initContainers", pod)
        self.assertFalse(pod["enableServiceLinks"])

    def test_only_builds_reach_the_reports(self):
        policy = one("NetworkPolicy", objects(REGISTRY))["spec"]
        reports, = [rule for rule in policy["ingress"] if rule["ports"][0]["port"] == 8081]
        self.assertEqual(reports["from"], [{"namespaceSelector": {}, "podSelector": {
            "matchLabels": {"app.kubernetes.io/managed-by": "imagebuild"}}}])

    def test_the_operator_knows_every_flag(self):
        options = TOP / "operator/options.cc"
        if not options.is_file():
            self.skipTest("there is no operator yet")
        flags = set(re.findall(r"--[a-z-]+", options.read_text()))
        for values in ("everything", "default", "namespaced"):
            found = objects("--values", TOP / f"tests/chart/values/{values}.yaml")
            for word in one("Deployment", found)["spec"]["template"]["spec"]["containers"][0]["args"]:
                self.assertIn(word.split("=")[0], flags)

    def test_a_mistake_in_the_values_is_refused(self):
        digest = "sha256:" + "1" * 64
        for words, expected in {
            ("replica=3",): "additional properties 'replica' not allowed",
            ("images.operators.tag=1",): "additional properties 'operators' not allowed",
            ("images.operator.digest=" + digest[:-1],): "/images/operator/digest",
            ("images.pullPolicy=Sometimes",): "/images/pullPolicy",
            ("concurrency=-1",): "/concurrency",
            ("concurrency=many",): "/concurrency",
            ("log.level=loud",): "/log/level",
            ("watchNamespaces={Team_A}",): "/watchNamespaces/0",
            ("registries.lab.plainHttp=true",): "additional properties 'plainHttp' not allowed",
            ("networkPolicy.egress.enable=true",): "additional properties 'enable' not allowed",
            ("builder.resources.requests.memory=lots",): "/builder/resources/requests/memory",
            ("metrics.port=99999",): "/metrics/port",
            ("leaderElection.enabled=false",): "two operators would work against each other",
            ("serviceMonitor.enabled=true", "metrics.service.enabled=false"): "serviceMonitor.enabled needs metrics.service.enabled",
        }.items():
            with self.subTest(words):
                self.assert_refused([REGISTRY, *(f"--set={word}" for word in words)], expected)

    def test_without_a_registry_it_says_what_to_do(self):
        self.assert_refused([], "images.registry is not set: say where the images are")

    def test_the_schema_knows_the_values_and_no_others(self):
        schema = json.loads((CHART / "values.schema.json").read_text())
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        self.assertEqual(set(values), set(schema["properties"]) - {"global"})
        for key, value in values.items():
            part = schema["properties"][key]
            if isinstance(value, dict) and "properties" in part and key not in ("affinity", "resources", "livenessProbe", "readinessProbe"):
                self.assertEqual(set(value), set(part["properties"]), key)


if __name__ == "__main__":
    unittest.main()
