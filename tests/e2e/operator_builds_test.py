"""What an ImageBuild becomes in a cluster: stages in pods, an image in the registry, and a status that says so."""

import json
import unittest

from cluster.cluster import condition_of
from harness.builder import Builder
from harness.case import EXAMPLES
from harness.registry import PASSWORD, USER, Registry
from operator_case import OperatorTestCase

_SLEEPERS = """FROM busybox:1.35 AS left
RUN sleep 4; echo left > /left
FROM busybox:1.35 AS right
RUN sleep 4; echo right > /right
FROM scratch
COPY --from=left /left /
COPY --from=right /right /
"""


def names(stages: list[dict]) -> list[str]:
    return [stage["name"] for stage in stages]


class OperatorBuildsTest(OperatorTestCase):
    def test_the_example_is_applied_built_and_greets(self):
        manifest = (EXAMPLES / "hello/imagebuild.yaml").read_text().replace("registry.example", f"{self.cluster.registry}/{self.namespace}")
        self.apply(manifest)
        self.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "imagebuild/hello", seconds=150)
        self.assert_prints(self.image("hello"), "Hello, world!\n")

    def test_the_image_is_the_one_that_the_command_line_builds(self):
        files = {"Dockerfile": "FROM busybox:1.35 AS made\nWORKDIR /out\nRUN echo 1 > one && ln -s one two && chmod 600 one\n"
                               "FROM busybox:1.35\nENV A=b\nCOPY --from=made /out /out\nCOPY page /page\nRUN rm /etc/group\n",
                 "page": "text\n"}
        self.build("app", None, files)
        context = self.folder / "context"
        context.mkdir()
        for name, text in files.items():
            (context / name).write_text(text)
        (self.folder / "builder").mkdir()
        builder = Builder(self.folder / "builder", f"http://{self.cluster.registry}")
        tag = f"{self.repository('by-hand')}:1"
        built = builder.build(context, "--insecure-registry", self.cluster.registry, tag=tag)
        self.assertEqual(built.exit_code, 0, built.output)
        self.assertEqual(self.wait_ready("app")["image"]["digest"], self.read(tag).digest)

    def test_independent_stages_run_at_the_same_time(self):
        self.build("app", _SLEEPERS)

        def both_run(found: dict) -> bool:
            self.assertNotEqual(condition_of(found, "Ready").get("status"), "True", "the stages ran one after the other")
            return [stage["phase"] for stage in found.get("status", {}).get("stages", [])][:2] == ["Running", "Running"]

        self.wait_for("imagebuild", "app", both_run, 60, "both stages run")
        self.wait_ready("app")
        self.assertEqual(set(self.image("app").added_to(None)), {"left", "right"})

    def test_stages_go_on_where_others_ended(self):
        watch = self.watch_pods()
        self.build("app", "FROM busybox:1.35 AS one\nENV WHO=one\nRUN echo 1 > /a && echo 1 > /b\n"
                          "FROM one AS two\nRUN rm /a && echo $WHO >> /b\n"
                          "FROM scratch AS middle\nCOPY --from=two /b /c\n"
                          "FROM two\nCOPY --from=middle /c /d\nRUN cat /b /d > /e\n")
        status = self.wait_ready("app")
        self.assertEqual(names(status["stages"]), ["one", "two", "middle", "3"])
        self.assertEqual(status["stageSummary"], "4/4")
        image = self.image("app")
        self.assert_prints(image, "1\none\n1\none\n", "cat", "/e")
        self.assertEqual(image.run("test", "-e", "/a").returncode, 1)
        # One pod each, and no init containers; the stage that only copies has no container of busybox.
        pods = {pod["metadata"]["annotations"]["imagebuild.dev/stage-name"]: pod for pod in watch.pods("stage")}
        self.assertEqual(set(pods), {"one", "two", "middle", "3"})
        self.assertNotIn("busybox", pods["middle"]["spec"]["containers"][0]["image"])
        self.assertFalse([pod for pod in watch.pods() if pod["spec"].get("initContainers")])

    def test_a_run_on_nothing_but_copied_files(self):
        self.build("app", "FROM scratch\nCOPY --from=busybox:1.35 / /\nRUN echo works > /state\n")
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "works\n", "cat", "/state")

    def test_stages_that_only_copy_need_no_pod(self):
        watch = self.watch_pods()
        self.build("app", "FROM scratch AS files\nCOPY page /a\nFROM busybox:1.35\nCOPY --from=files /a /b\n", {"page": "text\n"})
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "text\n", "cat", "/b")
        self.assertEqual(watch.pods("stage"), [])

    def test_a_secret_is_there_for_the_run_that_names_it_and_nowhere_else(self):
        word = f"secret-of-{self.namespace}"
        self.kubectl("create", "secret", "generic", "tokens", f"--from-literal=one={word}")
        text = ("FROM busybox:1.35 AS user\nRUN --mount=type=secret,id=token cut -c -9 /run/secrets/token > /beginning\n"
                "RUN test ! -e /run/secrets/token\n"
                "FROM busybox:1.35 AS other\nRUN find / -xdev -name token > /found; ls -A /.imagebuild/secrets > /listed 2>&1; env > /env\n"
                "FROM scratch\nCOPY --from=user /beginning /\nCOPY --from=other /found /listed /env /\n")
        watch = self.watch_pods()
        self.build("app", text, secrets=[{"id": "token", "secretKeyRef": {"name": "tokens", "key": "one"}}])
        self.wait_ready("app")
        image = self.image("app")
        rootfs = image.unpack() / "rootfs"
        self.assertEqual((rootfs / "beginning").read_text(), "secret-of\n")
        self.assertEqual((rootfs / "found").read_text(), "")
        having = [pod["metadata"]["annotations"]["imagebuild.dev/stage-name"] for pod in watch.pods("stage")
                  if "tokens" in json.dumps(pod["spec"])]
        self.assertEqual(having, ["user"])
        texts = {f"layer {index}": image.layer_bytes(index) for index in range(len(image.diff_ids))}
        texts |= {"manifest": image.blob(image.digest), "config": image.blob(image.config_digest)}
        texts |= {"objects": self.kubectl("get", "imagebuilds,pods,configmaps,events", "--output", "yaml").encode(),
                  "pods": json.dumps(watch.pods()).encode()}
        for where, data in texts.items():
            self.assertNotIn(word.encode(), data, f"the secret is in {where}")

    def test_a_secret_stays_out_of_what_a_failed_build_leaves(self):
        word = f"secret-of-{self.namespace}"
        self.kubectl("create", "secret", "generic", "tokens", f"--from-literal=one={word}")
        self.build("app", "FROM busybox:1.35\nRUN --mount=type=secret,id=token grep -q secret /run/secrets/token\n"
                          "RUN --mount=type=secret,id=token test -s /run/secrets/token && exit 3\n",
                   secrets=[{"id": "token", "secretKeyRef": {"name": "tokens", "key": "one"}}])
        self.wait_failed("app", "StepFailed")
        self.assertNotIn(word, self.kubectl("get", "imagebuilds,pods,configmaps,events", "--output", "yaml"))
        pods = [pod["metadata"]["name"] for pod in self.pods("app", "prepare") + self.pods("app", "stage")]
        self.assertEqual(len(pods), 2)
        for pod in pods:
            self.cluster.wait_for_pod_end(pod, self.namespace)
            self.assertNotIn(word, self.kubectl("logs", pod))

    def test_build_arguments_come_from_the_spec_and_from_config_maps(self):
        self.kubectl("create", "configmap", "versions", "--from-literal=app=1.2.3")
        self.build("app", "ARG BASE\nFROM $BASE\nARG VERSION\nRUN echo $VERSION > /version\n", buildArgs=[
            {"name": "BASE", "value": "busybox:1.35"},
            {"name": "VERSION", "valueFrom": {"configMapKeyRef": {"name": "versions", "key": "app"}}},
            {"name": "UNKNOWN", "value": "x"}])
        status = self.wait_ready("app")
        self.assert_prints(self.image("app"), "1.2.3\n", "cat", "/version")
        unknown = [warning for warning in status["warnings"] if "UNKNOWN" in warning["message"]]
        self.assertEqual(len(unknown), 1, status["warnings"])

    def test_the_target_is_the_image_and_what_it_does_not_need_is_not_run(self):
        self.build("app", "FROM busybox:1.35 AS first\nRUN echo first > /state\nFROM first\nRUN exit 9\n", target="first")
        self.assertEqual(names(self.wait_ready("app")["stages"]), ["first"])
        self.assert_prints(self.image("app"), "first\n", "cat", "/state")

    def test_the_dockerfile_may_stand_beside_the_context(self):
        self.build("inline", "FROM scratch\n", {"page": "text\n"}, dockerfileInline="FROM busybox:1.35\nCOPY page /page\n")
        self.build("named", None, {"docker/of.app": "FROM busybox:1.35\nCOPY page /page\n", "page": "text\n"}, dockerfile="docker/of.app")
        for name in ("inline", "named"):
            self.wait_ready(name)
            self.assert_prints(self.image(name), "text\n", "cat", "/page")

    def test_the_output_is_as_it_was_asked_for(self):
        self.build("app", "FROM busybox:1.35\nLABEL kept=yes over=old\nRUN echo 1 > /1\n", output={
            "additionalTags": ["2", "newest"], "labels": {"over": "new", "team": "red"}, "compression": "zstd",
            "annotations": {"org.opencontainers.image.title": "An app"}})
        status = self.wait_ready("app")
        image = self.image("app")
        for tag in ("1", "2", "newest"):
            self.assertEqual(self.read(f"{self.repository('app')}:{tag}").digest, status["image"]["digest"])
        self.assertEqual(image.config["config"]["Labels"], {"kept": "yes", "over": "new", "team": "red"})
        self.assertEqual(image.manifest["annotations"]["org.opencontainers.image.title"], "An app")
        layers = image.manifest["layers"]
        self.assertTrue(layers[-1]["mediaType"].endswith("tar+zstd"), layers)
        self.assertEqual(image.blob(layers[-1]["digest"])[:4], b"\x28\xb5\x2f\xfd")
        self.assertEqual(status["image"]["layers"], len(layers))
        self.assertEqual(status["image"]["sizeBytes"], sum(layer["size"] for layer in layers) + image.manifest["config"]["size"])

    def test_credentials_of_registries_reach_the_builder_only(self):
        registry = self.registry_with_password()
        auths = {"auths": {registry.host: {"username": USER, "password": PASSWORD}}}
        for name in ("pusher", "puller"):
            self.apply({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": name},
                        "stringData": {".dockerconfigjson": json.dumps(auths)}})
        text = "FROM busybox:1.35 AS made\nRUN echo 1 > /1\nFROM {base}\nCOPY --from=made /1 /\n"
        output = {"image": f"{registry.host}/team/base:1", "insecure": True}
        self.build("base", text.format(base="scratch"), output=output)
        self.wait_failed("base", "AccessDenied")
        watch = self.watch_pods()
        self.build("base", text.format(base="scratch"), output=output | {"pushSecretRef": {"name": "pusher"}})
        self.wait_ready("base")
        # The base of the next is behind the same password.
        output["image"] = f"{registry.host}/team/app:1"
        self.build("app", text.format(base=f"{registry.host}/team/base:1"), output=output | {"pushSecretRef": {"name": "pusher"}},
                   imagePullSecrets=[{"name": "puller"}])
        self.wait_ready("app")
        seen = {role: {volume["secret"]["secretName"] for pod in watch.pods(role) for volume in pod["spec"]["volumes"]
                       if "secret" in volume}
                for role in ("prepare", "stage", "publish")}
        self.assertEqual(seen, {"prepare": {"puller"}, "stage": set(), "publish": {"puller", "pusher"}})
        for pod in watch.pods():
            self.assertIs(pod["spec"]["automountServiceAccountToken"], False)

    def registry_with_password(self) -> Registry:
        if not self.cluster.machine:
            self.skipTest("pods of this cluster reach no registry on this machine")
        registry = Registry(password=True, address=self.cluster.machine)
        self.addCleanup(registry.close)
        return registry

    def test_a_run_sees_nothing_of_the_cluster(self):
        self.build("app", "FROM busybox:1.35\nRUN env > /env; hostname > /name; ls -A /var/run/secrets > /secrets 2>/dev/null; true\n")
        self.wait_ready("app")
        image = self.image("app")
        rootfs = image.unpack() / "rootfs"
        for word in ("KUBERNETES", "IMAGEBUILD"):
            self.assertNotIn(word, (rootfs / "env").read_text())
        self.assertEqual((rootfs / "name").read_text(), "imagebuild\n")
        self.assertEqual((rootfs / "secrets").read_text(), "")
        self.assertEqual(set(image.added_to(self.read(f"{self.cluster.registry}/library/busybox:1.35"))), {"env", "name", "secrets"})

    def test_the_user_of_the_base_is_that_of_commands_only(self):
        self.build("base", "FROM busybox:1.35\nRUN mkdir -p -m 777 /srv/place\nUSER 1234:77\nWORKDIR /srv/place\nENTRYPOINT [\"/bin/false\"]\n")
        self.wait_ready("base")
        self.build("app", f"FROM {self.repository('base')}:1\nRUN id -u > who && id -g >> who\nCOPY page .\nUSER 0\nRUN id -u >> who\n",
                   {"page": "text\n"})
        self.wait_ready("app")
        image = self.image("app")
        self.assertEqual((image.unpack() / "rootfs/srv/place/who").read_text(), "1234\n77\n0\n")
        added = image.added_to(self.read(f"{self.repository('base')}:1"))
        self.assertEqual({path: (entry.uid, entry.gid) for path, entry in added.items()}, {"srv/place/who": (1234, 77), "srv/place/page": (0, 0)})

    def test_the_same_spec_again_does_nothing(self):
        manifest = self.image_build("app", "FROM busybox:1.35\nRUN cat /proc/sys/kernel/random/uuid > /once\n")
        manifest["metadata"]["namespace"] = self.namespace
        text = json.dumps(manifest)
        self.kubectl("apply", "--server-side", "--filename", "-", input=text)
        first = self.wait_ready("app")
        works = [first["prepare"], first["publish"], *first["stages"]]
        those_of_the_first = [work["pod"] for work in works if "pod" in work]
        watch = self.watch_pods()
        self.kubectl("apply", "--server-side", "--filename", "-", input=text)
        self.kubectl("label", "imagebuild", "app", "touched=yes")
        self.kubectl("diff", "--server-side", "--filename", "-", input=text)  # fails if there is a difference
        self.wait_until_seen_by_the_operator()
        self.assertEqual(self.status("app"), first)
        # The first build's own pods may still be going.
        seen = [pod["metadata"]["name"] for pod in watch.pods()]
        self.assertEqual([name for name in seen if name not in those_of_the_first], [])
        owners = {field["manager"]: json.dumps(field["fieldsV1"]) for field in self.managed_fields("app")}
        self.assertFalse([manager for manager, fields in owners.items() if '"f:status"' in fields and '"f:spec"' in fields], owners)

    def managed_fields(self, name: str) -> list[dict]:
        text = self.kubectl("get", "imagebuild", name, "--output", "json", "--show-managed-fields")
        return json.loads(text)["metadata"]["managedFields"]

    def wait_until_seen_by_the_operator(self) -> None:
        """Another ImageBuild that was applied later is refused: what was applied before was looked at too."""
        self.build("later", "FROM scratch\n", output={"image": "registry.example/UPPER:1"})
        self.wait_failed("later", "InvalidSpec")

    def test_kubectl_get_shows_how_it_stands(self):
        self.build("app", "FROM busybox:1.35 AS one\nRUN true\nFROM busybox:1.35\nCOPY --from=one /etc/passwd /p\n")
        status = self.wait_ready("app")
        header, row = [line.split() for line in self.kubectl("get", "builds").splitlines()]
        self.assertEqual(header, ["NAME", "READY", "REASON", "STAGES", "IMAGE", "AGE"])
        self.assertEqual(row[:-1], ["app", "True", "Succeeded", "2/2", f"{self.repository('app')}:1"])
        header, row = [line.split() for line in self.kubectl("get", "imagebuilds", "--output", "wide").splitlines()]
        self.assertEqual(header[-2:], ["DIGEST", "DURATION"])
        self.assertEqual(row[-2:], [status["image"]["digest"], status["duration"]])

    def test_events_tell_the_story(self):
        self.build("app", "FROM busybox:1.35 AS one\nRUN sleep 2\nFROM scratch\nCOPY --from=one /etc/passwd /p\n")
        self.wait_ready("app")
        wanted = {"BuildStarted", "Prepared", "StageStarted", "StageSucceeded", "BuildSucceeded"}
        self.cluster.wait_until(lambda: wanted <= {event["reason"] for event in self.events("app")}, 30, f"there are events {wanted}",
                                self.namespace)
        self.assertEqual([event for event in self.events("app") if event["type"] != "Normal"], [])
        self.assertIn("BuildSucceeded", self.kubectl("describe", "imagebuild", "app"))

    def test_a_build_leaves_only_its_image(self):
        self.build("app", "FROM busybox:1.35\nRUN true\n")
        status = self.wait_ready("app")
        self.assertFalse([key for key in ("failure", "warnings") if status.get(key)])
        self.assertEqual({condition["type"] for condition in status["conditions"]}, {"Ready", "Succeeded"})
        kinds = "pods,persistentvolumeclaims,configmaps"
        mine = "app.kubernetes.io/managed-by=imagebuild"
        self.cluster.wait_until(lambda: not self.cluster.list(kinds, self.namespace, mine), 120, "its objects are gone", self.namespace)


if __name__ == "__main__":
    unittest.main()
