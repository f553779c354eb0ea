"""Where a build context comes from: each source of an ImageBuild."""

import hashlib
import io
import json
import pathlib
import tarfile
import unittest
import zipfile

from cluster.pods import claim, pod
from harness.image import Image
from operator_case import OperatorTestCase
from source_server import SourceServer, basic, git

_COPY_ALL = "FROM scratch\nCOPY . /app/\n"


def files_of(image: Image) -> dict[str, str]:
    """Path → text of all that is no folder."""
    found = {}
    for index in range(len(image.diff_ids)):
        with image.layer(index) as tar:
            found |= {entry.name: tar.extractfile(entry).read().decode() for entry in tar if not entry.isdir()}
    return found


def tar_gz(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def zip_of(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


class OperatorSourcesTest(OperatorTestCase):
    def built(self, name: str, source: dict, **spec) -> dict[str, str]:
        """Builds from the source, and returns the files of the image."""
        self.build(name, None, source=source, **spec)
        self.wait_ready(name)
        return files_of(self.image(name))

    def message_of_failure(self, name: str, source: dict, reason: str) -> str:
        self.build(name, None, source=source)
        return self.wait_failed(name, reason)["failure"]["message"]

    def serve(self, authorization: str = "") -> SourceServer:
        """Serves the folder "served" of this test to pods."""
        if not self.cluster.machine:
            self.skipTest("pods of this cluster reach no server on this machine")
        self.served = self.folder / "served"
        self.served.mkdir(exist_ok=True)
        server = SourceServer(self.cluster.machine, self.served, authorization)
        self.addCleanup(server.close)
        return server

    def secret(self, name: str, **values: str) -> dict:
        """A Secret with these values, and the reference to it."""
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})
        return {"name": name}

    def repository_with_history(self) -> tuple[pathlib.Path, dict[str, str]]:
        """served/app.git with a tag, a branch and a submodule in served/part.git; and the commits of each."""
        work = self.folder / "work"
        (work / "part").mkdir(parents=True)
        (work / "app").mkdir()
        for name, files in {"part": {"piece": "part\n"}, "app": {"Dockerfile": _COPY_ALL, "page": "first\n"}}.items():
            git(work / name, "init", "--quiet")
            for path, text in files.items():
                (work / name / path).write_text(text)
            git(work / name, "add", ".")
            git(work / name, "commit", "--quiet", "--message", "first")
        app = work / "app"
        commits = {"first": git(app, "rev-parse", "HEAD")}
        git(app, "tag", "v1")
        (app / "page").write_text("second\n")
        git(app, "commit", "--quiet", "--all", "--message", "second")
        commits["main"] = git(app, "rev-parse", "HEAD")
        git(app, "checkout", "--quiet", "-b", "team/side")
        # Beside it on the server, wherever that is.
        git(app, "submodule", "--quiet", "add", str(work / "part"), "part")
        git(app, "config", "--file", ".gitmodules", "submodule.part.url", "../part.git")
        git(app, "commit", "--quiet", "--all", "--message", "third")
        commits["side"] = git(app, "rev-parse", "HEAD")
        git(app, "checkout", "--quiet", "main")
        for name in ("part", "app"):
            git(work, "clone", "--quiet", "--bare", name, str(self.served / f"{name}.git"))
        return self.served, commits

    def test_inline_files_may_lie_in_folders(self):
        found = self.built("app", {"inline": {"files": {"a/Dockerfile": _COPY_ALL, "a/b/c": "deep\n", "beside": "x\n"}}, "subPath": "a"})
        self.assertEqual(found, {"app/Dockerfile": _COPY_ALL, "app/b/c": "deep\n"})
        self.assertRegex(self.status("app")["source"]["digest"], "^sha256:[0-9a-f]{64}$")

    def test_a_config_map_is_a_folder_of_plain_files(self):
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"},
                    "data": {"Dockerfile": _COPY_ALL, "page": "text\n", ".hidden": "too\n"}})
        self.assertEqual(self.built("app", {"configMapRef": {"name": "files"}}),
                         {"app/Dockerfile": _COPY_ALL, "app/page": "text\n", "app/.hidden": "too\n"})

    def test_a_missing_config_map_or_claim_is_named_and_waited_for(self):
        self.build("map", None, source={"configMapRef": {"name": "later"}})
        self.build("claim", None, source={"persistentVolumeClaim": {"claimName": "later"}})
        self.assertIn("later", self.wait_reason("map", "MissingConfigMap"))
        self.assertIn("later", self.wait_reason("claim", "MissingClaim"))
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}, "data": {"Dockerfile": _COPY_ALL}})
        self.wait_ready("map")

    def test_a_claim_is_read_and_not_written(self):
        dockerfile = _COPY_ALL.replace("\n", "\\n")
        script = f"mkdir -p /claim/src/deep && cd /claim/src && printf '{dockerfile}' > Dockerfile && echo text > deep/page && chmod 750 deep"
        self.apply([claim("context"), pod("filler", "sh", "-c", script, claim="context")])
        self.cluster.wait_for_pod_end("filler", self.namespace)
        found = self.built("app", {"persistentVolumeClaim": {"claimName": "context"}, "subPath": "src"})
        self.assertEqual(found, {"app/Dockerfile": _COPY_ALL, "app/deep/page": "text\n"})
        self.apply(pod("looker", "sh", "-c", "cd /claim && find . -type f | sort", claim="context"))
        self.cluster.wait_for_pod_end("looker", self.namespace)
        self.assertEqual(self.kubectl("logs", "looker"), "./src/Dockerfile\n./src/deep/page\n")

    def test_an_archive_comes_over_http(self):
        server = self.serve()
        files = {"app-1.0/Dockerfile": _COPY_ALL, "app-1.0/page": "text\n", "other": "x\n"}
        for kind, data in {"tar.gz": tar_gz(files), "zip": zip_of(files)}.items():
            (self.served / f"source.{kind}").write_bytes(data)
            name = kind.replace(".", "-")
            found = self.built(name, {"http": {"url": f"{server.url}/source.{kind}", "sha256": hashlib.sha256(data).hexdigest()},
                                      "subPath": "app-1.0"})
            self.assertEqual(found, {"app/Dockerfile": _COPY_ALL, "app/page": "text\n"})

    def test_an_archive_that_is_not_the_one_that_was_meant_is_refused(self):
        server = self.serve()
        (self.served / "source.tar").write_bytes(tar_gz({"Dockerfile": _COPY_ALL}))
        other = {"http": {"url": f"{server.url}/source.tar", "sha256": "0" * 64}}
        self.assertIn("sha256", self.message_of_failure("other", other, "InvalidInput"))
        self.assertIn("404", self.message_of_failure("none", {"http": {"url": f"{server.url}/none.tar"}}, "NotFound"))
        (self.served / "page.html").write_text("<html></html>\n")
        self.assertIn("neither", self.message_of_failure("page", {"http": {"url": f"{server.url}/page.html"}}, "InvalidInput"))

    def test_an_archive_may_want_credentials(self):
        server = self.serve("Bearer a-token")
        (self.served / "source.tar").write_bytes(tar_gz({"Dockerfile": _COPY_ALL}))
        url = f"{server.url}/source.tar"
        self.message_of_failure("without", {"http": {"url": url}}, "AccessDenied")
        self.assertEqual(self.built("with", {"http": {"url": url, "secretRef": self.secret("token", token="a-token")}}),
                         {"app/Dockerfile": _COPY_ALL})

    def test_git_has_branches_tags_and_commits(self):
        server = self.serve()
        _, commits = self.repository_with_history()
        url = f"{server.git_url}/app.git"
        for revision, page, told in (("", "second\n", f"main@sha1:{commits['main']}"), ("v1", "first\n", f"v1@sha1:{commits['first']}"),
                                     ("main", "second\n", f"main@sha1:{commits['main']}"),
                                     (commits["first"], "first\n", f"sha1:{commits['first']}")):
            name = f"at-{revision or 'head'}"[:20]
            found = self.built(name, {"git": {"url": url} | ({"revision": revision} if revision else {})})
            self.assertEqual(found, {"app/Dockerfile": _COPY_ALL, "app/page": page})
            self.assertEqual(self.status(name)["source"]["revision"], told)

    def test_git_fetches_submodules_when_it_is_asked_to(self):
        server = self.serve()
        self.repository_with_history()
        source = {"git": {"url": f"{server.url}/app.git", "revision": "team/side", "submodules": True}}
        self.assertEqual(self.built("with", source)["app/part/piece"], "part\n")
        del source["git"]["submodules"]
        self.assertNotIn("app/part/piece", self.built("without", source))

    def test_git_uses_the_credentials_of_a_secret(self):
        server = self.serve(basic("robot", "pass word"))
        self.repository_with_history()
        source = {"git": {"url": f"{server.url}/app.git"}}
        self.message_of_failure("without", source, "AccessDenied")
        source["git"]["secretRef"] = self.secret("wrong", username="robot", password="guess")
        self.message_of_failure("wrong", source, "AccessDenied")
        source["git"]["secretRef"] = self.secret("right", username="robot", password="pass word")
        self.assertEqual(self.built("right", source)["app/page"], "second\n")
        self.assertNotIn("pass word", json.dumps(self.cluster.list("imagebuilds,configmaps,events", self.namespace)))

    def test_a_revision_or_repository_that_is_not_there_is_named(self):
        server = self.serve()
        self.repository_with_history()
        missing = {"git": {"url": f"{server.url}/app.git", "revision": "v9"}}
        self.assertIn("v9", self.message_of_failure("revision", missing, "NotFound"))
        self.assertIn("none.git", self.message_of_failure("repository", {"git": {"url": f"{server.url}/none.git"}}, "NotFound"))

    def test_the_commit_gives_the_time_of_the_image(self):
        server = self.serve()
        self.repository_with_history()
        self.built("app", {"git": {"url": f"{server.url}/app.git"}})
        self.assertEqual(self.image("app").config["created"], "2021-02-03T04:05:06Z")

    def test_an_image_may_be_the_context(self):
        self.build("context", "FROM scratch\nCOPY . /src/\n", {"page": "old\n"})
        self.wait_ready("context")
        self.build("second", f"FROM {self.repository('context')}:1\nCOPY page /src/page\n", {"page": "new\n"})
        self.wait_ready("second")
        found = self.built("app", {"oci": {"image": f"{self.repository('second')}:1"}, "subPath": "src"}, dockerfileInline=_COPY_ALL)
        self.assertEqual(found["app/page"], "new\n")
        self.assertIn("app/Dockerfile", found)
        message = self.message_of_failure("none", {"oci": {"image": f"{self.repository('none')}:1"}}, "NotFound")
        self.assertIn("none:1", message)


if __name__ == "__main__":
    unittest.main()
