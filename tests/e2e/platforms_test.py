"""Images for several platforms, and several targets of one Dockerfile; read back by skopeo."""

import json
import pathlib
import unittest

import platform_bases
from harness import processes
from harness.case import EndToEndTest, only_imagebuild

TWO = "linux/amd64,linux/arm64"


def emulates_arm64() -> bool:
    return pathlib.Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists()


@only_imagebuild
class PlatformsTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.base_name = f"{self.registry.host}/bases/busybox:1"
        platform_bases.push(self.mirror.host, self.base_name, ["linux/amd64", "linux/arm64", "linux/arm/v7"],
                            self.folder / "base")

    def raw(self, source: str) -> dict:
        return json.loads(processes.run("skopeo", "inspect", "--raw", "--tls-verify=false", source).stdout)

    def config(self, source: str, architecture: str, variant: str = "") -> dict:
        flags = ["--override-os=linux", f"--override-arch={architecture}"]
        if variant:
            flags.append(f"--override-variant={variant}")
        return json.loads(processes.run("skopeo", *flags, "inspect", "--config", "--tls-verify=false", source).stdout)

    def content(self, entry: dict, path: str, repository: str = "team/app") -> str:
        """A file of the image that an entry of an index is."""
        image = self.read(f"docker://{self.registry.host}/{repository}@{entry['digest']}")
        for layer in reversed(range(len(image.diff_ids))):
            with image.layer(layer) as tar:
                if path in tar.getnames():
                    return tar.extractfile(path).read().decode()
        raise AssertionError(f"{path} is not in the image")

    def platforms(self, index: dict) -> list[str]:
        return ["/".join(entry["platform"][word] for word in ("os", "architecture", "variant")
                         if word in entry["platform"]) for entry in index["manifests"]]

    def test_stages_without_run_make_an_index_without_any_emulator(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name}\nARG TARGETARCH\nWORKDIR /made/here\n"
                               "COPY $TARGETARCH /who\nLABEL a=b\n", "amd64": "x86\n", "arm64": "arm\n"})
        self.assert_built(self.builder.build(source, "--platform", TWO, tag=self.tag))
        index = self.raw(f"docker://{self.tag}")
        self.assertEqual(index["mediaType"], "application/vnd.oci.image.index.v1+json")
        self.assertEqual(self.platforms(index), ["linux/amd64", "linux/arm64"])
        self.assertEqual([self.content(entry, "who") for entry in index["manifests"]], ["x86\n", "arm\n"])
        for architecture in ("amd64", "arm64"):
            config = self.config(f"docker://{self.tag}", architecture)
            self.assertEqual(config["architecture"], architecture)
            self.assertEqual(config["config"]["Labels"], {"a": "b", "made-for": f"linux/{architecture}"})

    def test_a_stage_of_the_build_platform_runs_once_for_all(self):
        source = self.context({"Dockerfile": f"FROM --platform=$BUILDPLATFORM {self.base_name} AS build\n"
                               "RUN cat /proc/sys/kernel/random/uuid > /id\n"
                               f"FROM {self.base_name}\nCOPY --from=build /id /id\n"})
        self.assert_built(self.builder.build(source, "--platform", "linux/amd64", "--platform", "linux/arm64,linux/arm/v7",
                                             tag=self.tag))
        index = self.raw(f"docker://{self.tag}")
        self.assertEqual(self.platforms(index), ["linux/amd64", "linux/arm64", "linux/arm/v7"])
        self.assertEqual(len({self.content(entry, "id") for entry in index["manifests"]}), 1)
        self.assertEqual(self.config(f"docker://{self.tag}", "arm", "v7")["variant"], "v7")

    def test_files_of_a_foreign_image_are_copied_without_any_emulator(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name} AS files\nCOPY a /a\nFROM scratch\n"
                               f"COPY --from=files /a /a\nCOPY --from={self.base_name} /bin/busybox /busybox\n",
                               "a": "from the context\n"})
        self.assert_built(self.builder.build(source, "--platform", "linux/arm64", tag=self.tag))
        image = self.pull(self.tag)
        self.assertEqual(set(self.added(image)), {"a", "busybox"})
        self.assertEqual(image.config["architecture"], "arm64")

    def test_running_foreign_programs_says_what_is_missing(self):
        if emulates_arm64():
            self.skipTest("this machine emulates arm64")
        source = self.context({"Dockerfile": f"FROM {self.base_name}\nRUN true\n"})
        self.assert_fails(self.builder.build(source, "--platform", TWO, tag=self.tag), 1, "runs programs for linux/arm64",
                          "qemu-user-static", "$BUILDPLATFORM")

    def test_a_base_without_the_platform_says_which_it_has(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name}\nCOPY Dockerfile /\n"})
        self.assert_fails(self.builder.build(source, "--platform", "linux/amd64,linux/s390x", tag=self.tag), 1,
                          "Dockerfile:1:6", "linux/s390x", "linux/amd64, linux/arm/v7, linux/arm64")

    def test_layouts_and_archives_hold_the_same_index(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name}\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n"})
        metadata, id_file = self.folder / "metadata.json", self.folder / "id"
        self.assert_built(self.builder.build(
            source, "--platform", TWO, "-t", "team/app:1", "--output", f"type=oci,dest={self.folder}/layout", "--output",
            f"type=oci-archive,dest={self.folder}/image.tar", "--metadata-file", metadata, "--iidfile", id_file))
        names = (f"oci:{self.folder}/layout:1", f"oci-archive:{self.folder}/image.tar:1")
        layout, archive = (self.raw(name) for name in names)
        self.assertEqual(layout, archive)
        self.assertEqual(self.platforms(layout), ["linux/amd64", "linux/arm64"])
        digest = json.loads((self.folder / "layout/index.json").read_text())["manifests"][0]["digest"]
        self.assertEqual(json.loads(metadata.read_text())["containerimage.digest"], digest)
        self.assertEqual(id_file.read_text().strip(), digest)
        for architecture in ("amd64", "arm64"):
            self.assertEqual(self.config(names[0], architecture)["architecture"], architecture)
        again = self.make_builder("again")
        self.assert_built(again.build(source, "--platform", TWO, tag=self.tag))
        pushed = processes.run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{self.tag}")
        self.assertEqual(pushed.stdout.strip(), digest, "two builds made different bytes")

    def test_a_layout_with_an_index_is_a_base(self):
        first = self.context({"Dockerfile": f"FROM {self.base_name}\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n"}, "first")
        self.assert_built(self.builder.build(first, "--platform", TWO, "--output", f"type=oci,dest={self.folder}/layout"))
        second = self.context({"Dockerfile": f"FROM oci-layout://{self.folder}/layout\nCOPY Dockerfile /second\n"}, "second")
        self.assert_built(self.builder.build(second, "--platform", "linux/arm64", tag=self.tag))
        self.assertEqual(self.pull(self.tag).config["architecture"], "arm64")

    def test_a_docker_archive_is_refused_for_several_platforms(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name}\n"})
        built = self.builder.build(source, "--platform", TWO, "--output", f"type=docker-archive,dest={self.folder}/a.tar")
        self.assert_fails(built, 2, "holds one image for one platform")

    def test_targets_share_stages_and_have_names_of_their_own(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name} AS build\n"
                               "RUN cat /proc/sys/kernel/random/uuid > /id\n"
                               "FROM scratch AS api\nCOPY --from=build /id /api\n"
                               "FROM scratch AS web\nCOPY --from=build /id /web\n"})
        metadata = self.folder / "metadata.json"
        api, web = (f"{self.registry.host}/team/{name}:1" for name in ("api", "web"))
        self.assert_built(self.builder.build(source, "--target", f"api={api}", "--target", "web", "--metadata-file", metadata,
                                             tag=web))
        images = {"api": self.pull(api), "web": self.pull(web)}
        told = json.loads(metadata.read_text())
        ids = set()
        for name, image in images.items():
            self.assertEqual(set(self.added(image)), {name})
            self.assertEqual(told[name]["containerimage.digest"], image.digest)
            with image.layer(0) as tar:
                ids.add(tar.extractfile(name).read())
        self.assertEqual(len(ids), 1, "the stage that both need ran twice")

    def test_every_target_becomes_an_index(self):
        source = self.context({"Dockerfile": f"FROM {self.base_name} AS one\nCOPY Dockerfile /one\n"
                               "FROM one AS two\nCOPY Dockerfile /two\n"})
        one, two = (f"{self.registry.host}/team/{name}:1" for name in ("one", "two"))
        self.assert_built(self.builder.build(source, "--platform", TWO, "--target", f"one={one}", "--target", f"two={two}"))
        layers = {}
        for name in (one, two):
            index = self.raw(f"docker://{name}")
            self.assertEqual(self.platforms(index), ["linux/amd64", "linux/arm64"])
            repository = name.removeprefix(f"{self.registry.host}/").removesuffix(":1")
            image = self.read(f"docker://{self.registry.host}/{repository}@{index['manifests'][1]['digest']}")
            layers[name] = image.diff_ids
        self.assertEqual(layers[two][:len(layers[one])], layers[one])


if __name__ == "__main__":
    unittest.main()
