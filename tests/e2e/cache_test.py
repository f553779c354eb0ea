"""What builds keep for each other: in the store, in folders and in repositories of registries."""

import json
import socket
import subprocess
import unittest

from harness import processes
from harness.builder import imagebuild_program
from harness.case import EndToEndTest, only_imagebuild
from harness.registry import Registry

DOCKERFILE = """FROM busybox:1.35 AS build
COPY source /source
RUN echo "ran the first" && cat /source > /first
RUN echo "ran the second" && cat /first > /made
FROM busybox:1.35
COPY --from=build /made /made
RUN echo "ran the last" && cat /made > /last
"""
RUNS = ("ran the first", "ran the second", "ran the last")


@only_imagebuild
class CacheTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.source = self.context({"Dockerfile": DOCKERFILE, "source": "one\n"})
        self.other = self.make_builder("other-machine")
        self.repository = f"type=registry,ref={self.registry.host}/team/cache"

    def run_steps(self, builder, *flags) -> tuple[tuple[str, ...], str]:
        """Which of the RUNs were executed, and everything that was said. Output lines are those without `RUN`."""
        built = builder.build(self.source, *flags, tag=self.tag)
        self.assert_built(built)
        lines = [line for line in built.output.splitlines() if "RUN" not in line]
        return tuple(run for run in RUNS if any(run in line for line in lines)), built.output

    def assert_other_machine_runs(self, runs, *flags):
        self.assertEqual(self.run_steps(self.other, *flags)[0], runs)

    def test_another_machine_runs_nothing_with_a_registry(self):
        self.assertEqual(self.run_steps(self.builder, "--cache-to", self.repository)[0], RUNS)
        digest = self.pull(self.tag).digest
        self.assert_other_machine_runs((), "--cache-from", self.repository)
        self.assertEqual(self.pull(self.tag).digest, digest)

    def test_another_machine_runs_nothing_with_a_folder(self):
        shared = self.folder / "shared"
        self.assertEqual(self.run_steps(self.builder, "--cache-to", f"type=local,dest={shared}")[0], RUNS)
        digest = self.pull(self.tag).digest
        self.assert_other_machine_runs((), "--cache-from", f"type=local,src={shared}")
        self.assertEqual(self.pull(self.tag).digest, digest)

    def test_another_machine_runs_what_changed(self):
        changed = DOCKERFILE.replace('"ran the second"', '"ran the second" now')
        self.run_steps(self.builder, "--cache-to", self.repository)
        (self.source / "Dockerfile").write_text(changed)
        self.assert_other_machine_runs(("ran the second",), "--cache-from", self.repository)

    def test_what_came_from_a_registry_is_the_same_without_it(self):
        self.run_steps(self.builder, "--cache-to", self.repository)
        self.run_steps(self.other, "--cache-from", self.repository)
        digest = self.pull(self.tag).digest
        self.assertEqual(self.run_steps(self.other, "--no-cache", "--cache-from", self.repository)[0], RUNS)
        self.assertEqual(self.pull(self.tag).digest, digest)

    def test_a_registry_that_is_gone_is_a_warning(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # Not listening: connections are refused.
            gone = f"type=registry,ref=127.0.0.1:{nobody.getsockname()[1]}/cache"
            runs, output = self.run_steps(self.builder, "--cache-from", gone, "--cache-to", gone)
        self.assertEqual(runs, RUNS)
        self.assertIn("WARNING: a cache is not used: ", output)
        self.assertIn("127.0.0.1", output)
        self.assertEqual(self.run_steps(self.builder)[0], (), "the store's own cache was kept all the same")

    def test_a_registry_that_wants_a_password_is_a_warning(self):
        with Registry(password=True) as registry:
            private = f"type=registry,ref={registry.host}/cache"
            runs, output = self.run_steps(self.builder, "--cache-from", private, "--cache-to", private)
        self.assertEqual(runs, RUNS)
        self.assertIn("WARNING: a cache is not used: ", output)

    def test_a_broken_cache_is_built_anew(self):
        self.run_steps(self.builder, "--cache-to", self.repository)
        digest = self.pull(self.tag).digest
        for data in self.registry.storage.glob("docker/registry/v2/blobs/sha256/*/*/data"):
            content = data.read_bytes()
            if not content.startswith(b"{"):  # Neither a manifest nor a record.
                data.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        another = Registry()  # The image's own layers are broken too.
        self.addCleanup(another.close)
        self.tag = f"{another.host}/team/app:1"
        self.assert_other_machine_runs(RUNS, "--cache-from", self.repository)
        self.assertEqual(self.pull(self.tag).digest, digest)

    def cache(self, *words) -> subprocess.CompletedProcess:
        return subprocess.run([imagebuild_program(), "cache", *words, "--store", self.builder.store], text=True,
                              capture_output=True)

    def test_the_command_shows_and_removes_what_is_kept(self):
        self.run_steps(self.builder)
        listed = json.loads(self.cache("ls", "--format", "json").stdout)
        self.assertEqual({thing["kind"] for thing in listed}, {"result", "base"})
        self.assertTrue(any("ran the first" in thing["title"] for thing in listed))
        usage = json.loads(self.cache("du", "--format", "json").stdout)
        self.assertGreater(usage["bases"]["bytes"], 100_000)
        self.assertEqual(self.cache("prune", "--older-than", "1h").returncode, 0)
        self.assertEqual(self.run_steps(self.builder)[0], ())
        pruned = self.cache("prune", "--all")
        self.assertEqual(pruned.returncode, 0, pruned.stderr)
        self.assertEqual(json.loads(self.cache("du", "--format", "json").stdout)["bytes"], 0)
        self.assertEqual(self.run_steps(self.builder)[0], RUNS)

    def test_the_command_shows_and_removes_what_a_shared_cache_has(self):
        for shared in (self.repository, f"type=local,dest={self.folder / 'shared'}"):
            with self.subTest(shared):
                there = ("--cache", shared.replace("dest=", "src="))
                self.run_steps(self.builder, "--no-cache", "--cache-to", shared)
                listed = json.loads(self.of_named_cache("ls", *there).stdout)
                self.assertEqual({thing["kind"] for thing in listed}, {"result"})
                self.assertTrue(any("ran the first" in thing["title"] for thing in listed), listed)
                usage = json.loads(self.of_named_cache("du", *there).stdout)
                self.assertEqual(usage["results"]["count"], len(listed))
                self.assertGreater(usage["bytes"], 0)
                self.of_named_cache("prune", "--older-than", "1h", *there)
                self.assertEqual(json.loads(self.of_named_cache("ls", *there).stdout), listed)
                self.of_named_cache("prune", "--all", *there)
                self.assertEqual(json.loads(self.of_named_cache("ls", *there).stdout), [])
                self.builder.clear()
                self.assertEqual(self.run_steps(self.other, "--no-cache", "--cache-to", shared)[0], RUNS)
                self.assertEqual(len(json.loads(self.of_named_cache("ls", *there).stdout)), len(listed))

    def of_named_cache(self, action, *words):
        done = subprocess.run([imagebuild_program(), "cache", action, "--format=json", *words], text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_pruning_leaves_what_a_running_build_uses(self):
        (self.source / "Dockerfile").write_text("FROM busybox:1.35\nRUN echo began; sleep 600\n")
        build = self.builder.start(self.source)
        try:
            processes.read_until(build, lambda text: processes.printed("began", text))
            pruned = self.cache("prune", "--all")
            self.assertEqual(pruned.returncode, 0, pruned.stderr)
            self.assertIn("a build is running", pruned.stderr)
            self.assertGreater(json.loads(self.cache("du", "--format", "json").stdout)["bases"]["bytes"], 100_000)
        finally:
            build.terminate()
            build.communicate(timeout=60)
        self.assertEqual(self.cache("prune", "--all").stderr, "")


if __name__ == "__main__":
    unittest.main()
