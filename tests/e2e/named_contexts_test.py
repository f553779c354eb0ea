"""--build-context: folders, images and addresses by names that a Dockerfile uses; and what all RUN of a build see."""

import unittest

from harness.case import EndToEndTest, only_imagebuild
from remote_sources_test import tar_gz
from source_server import SourceServer, git


@only_imagebuild
class NamedContextsTest(EndToEndTest):
    def dockerfile(self, *lines: str):
        return self.context({"Dockerfile": "\n".join(lines) + "\n"})

    def files(self, image, base="") -> set[str]:
        return {path for path, entry in self.added(image, base).items() if entry.isfile()}

    def test_a_folder_less_what_it_ignores(self):
        deps = self.context({"a.txt": "a\n", "b.log": "b\n", ".dockerignore": "*.log\n.dockerignore\n"}, "deps")
        image = self.build(self.dockerfile("FROM scratch", "COPY --from=deps . /deps/"), "--build-context", f"deps={deps}")
        self.assertEqual(self.files(image), {"deps/a.txt"})

    def test_a_folder_takes_the_place_of_a_stage(self):
        deps = self.context({"a.txt": "mine\n"}, "deps")
        image = self.build(self.dockerfile("FROM busybox:1.35 AS deps", "RUN false", "FROM scratch", "COPY --from=deps /a.txt /"),
                           "--build-context", f"deps={deps}")
        self.assertEqual(self.files(image), {"a.txt"})

    def test_an_image_takes_the_place_of_another(self):
        image = self.build(self.dockerfile("FROM base", "COPY --from=base /bin/busybox /copy"),
                           "--build-context", "base=docker-image://busybox:1.35")
        self.assertEqual(self.files(image, "busybox:1.35"), {"copy"})

    def test_a_layout(self):
        layout = self.folder / "layout"
        self.assert_built(self.builder.build(self.context({"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "1"}, "lower"),
                                             "--output", f"type=oci,dest={layout}"))
        image = self.build(self.dockerfile("FROM lower", "COPY --from=lower /a /b"),
                           "--build-context", f"lower=oci-layout://{layout}")
        self.assertEqual(self.files(image), {"a", "b"})

    def test_addresses(self):
        served = self.folder / "served"
        work = self.folder / "work"
        work.mkdir()
        git(work, "init", "-q")
        (work / "a.txt").write_text("one\n")
        git(work, "add", ".")
        git(work, "commit", "-q", "-m", "first")
        git(self.folder, "clone", "-q", "--bare", work, served / "app.git")
        (served / "app.tar.gz").write_bytes(tar_gz({"app/main.c": "int\n"}))
        (served / "plain").write_text("text\n")
        server = SourceServer("127.0.0.1", served)
        self.addCleanup(server.close)
        image = self.build(self.dockerfile("FROM scratch", "COPY --from=repo . /repo/", "COPY --from=packed app /packed/",
                                           "COPY --from=file context /file"),
                           "--build-context", f"repo={server.url}/app.git#main", "--build-context", f"packed={server.url}/app.tar.gz",
                           "--build-context", f"file={server.url}/plain")
        self.assertEqual(self.files(image), {"repo/a.txt", "packed/main.c", "file"})

    def test_a_folder_is_mounted(self):
        deps = self.context({"a.txt": "mounted\n"}, "deps")
        image = self.build(self.dockerfile("FROM busybox:1.35", "RUN --mount=from=deps,target=/deps cat /deps/a.txt > /a.txt"),
                           "--build-context", f"deps={deps}")
        self.assert_prints(image, "mounted\n", "cat", "/a.txt")

    def test_what_is_not_there_is_named(self):
        context = self.dockerfile("FROM scratch", "COPY --from=deps . /")
        built = self.builder.build(context, "--build-context", f"deps={self.folder}/none")
        self.assert_fails(built, 1, "Dockerfile:2", "the build context 'deps'", "does not exist")
        self.assert_fails(self.builder.build(context, "--build-context", "deps=ftp://x/y"), 2, "docker-image://")

    def test_a_name_that_nothing_uses_is_a_warning(self):
        context = self.context({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
        built = self.builder.build(context, "--build-context", f"deps={context}", tag=self.tag)
        self.assert_built(built)
        self.assertIn("'deps' is not used", built.output)

    def test_hosts_limits_and_shared_memory(self):
        image = self.build(self.dockerfile("FROM busybox:1.35", "RUN grep 10.0.0.7 /etc/hosts > /hosts", "RUN ulimit -n > /limit",
                                           "RUN df -k /dev/shm | awk 'END {print $2}' > /shm"),
                           "--add-host", "db:10.0.0.7", "--ulimit", "nofile=512:1024", "--shm-size", "16m")
        self.assert_prints(image, "db\n", "awk", "{print $2}", "/hosts")
        self.assert_prints(image, "512\n16384\n", "cat", "/limit", "/shm")


if __name__ == "__main__":
    unittest.main()
