"""A build that cannot be done says why in a clear sentence and ends with the exit code of its kind."""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import unittest

from harness import processes
from harness.case import EndToEndTest, only_imagebuild
from harness.registry import PASSWORD, USER, Registry

BUILT, USERS_FAULT, USAGE, INFRASTRUCTURE = 0, 1, 2, 3


class FailuresTest(EndToEndTest):
    def minimal(self):
        return self.context({"Dockerfile": "FROM busybox:1.35\nCOPY a /a\n", "a": "a\n"})

    def test_a_failing_run_tells_its_line_its_exit_code_and_its_last_words(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\n\nRUN echo the-last-words && exit 42\n"})
        built = self.builder.build(context, tag=self.tag)
        self.assert_fails(built, USERS_FAULT, "the-last-words", "42")
        self.assertRegex(built.output, r"Dockerfile:3\b")

    def test_the_line_is_told_in_the_file_that_was_named(self):
        context = self.context({"build/Containerfile": "FROM busybox:1.35\nRUN false\n"})
        built = self.builder.build(context, "-f", context / "build/Containerfile")
        self.assertRegex(built.output, r"Containerfile:2\b")
        self.assertEqual(built.exit_code, USERS_FAULT, built.output)

    def test_a_wrong_stage_name_brings_the_right_one(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35 AS build\nFROM scratch\nCOPY --from=biuld /etc/passwd /\n"})
        self.assert_fails(self.builder.build(context), USERS_FAULT, "biuld", "'build'", "Dockerfile:3")

    def test_a_wrong_target_brings_the_right_one(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35 AS build\n"})
        built = self.builder.build(context, "--target", "biuld")
        self.assertIn(built.exit_code, (USERS_FAULT, USAGE), built.output)
        self.assertIn("'build'", built.output)

    def test_a_missing_file_is_named(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nCOPY missing.txt /\n"})
        self.assert_fails(self.builder.build(context), USERS_FAULT, "missing.txt", "Dockerfile:2")

    def test_a_missing_base_is_named(self):
        context = self.context({"Dockerfile": f"FROM {self.registry.host}/no-such-image:7\nRUN true\n"})
        self.assert_fails(self.builder.build(context), USERS_FAULT, "Dockerfile:1:6", "no-such-image:7")

    def test_an_unknown_instruction_is_an_error(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUNN true\n"})
        self.assert_fails(self.builder.build(context), USERS_FAULT, "RUNN", "Dockerfile:2")

    def credentials(self, host, password):
        folder = self.folder / "docker-config"
        folder.mkdir()
        word = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": word}}}))
        return folder

    def push_with_password(self, password):
        registry = Registry(password=True)
        self.addCleanup(registry.close)
        builder = self.make_builder("with-password", docker_config=self.credentials(registry.host, password))
        return builder.build(self.minimal(), tag=f"{registry.host}/app:1")

    def test_the_right_credential_pushes(self):
        self.assert_fails(self.push_with_password(PASSWORD), BUILT)

    def test_a_wrong_credential_is_the_users_fault(self):
        built = self.push_with_password("wrong-horse")
        self.assertEqual(built.exit_code, USERS_FAULT, built.output)
        self.assertRegex(built.output.lower(), "credential|unauthorized|password|log ?in")
        self.assertNotIn("wrong-horse", built.output)

    def test_an_unreachable_registry_is_infrastructure(self):
        with contextlib.closing(socket.socket()) as unused:
            unused.bind(("127.0.0.1", 0))  # taken, but nobody listens: connections are refused
            host = f"localhost:{unused.getsockname()[1]}"
            built = self.builder.build(self.minimal(), tag=f"{host}/app:1")
        self.assertEqual(built.exit_code, 1 if os.environ.get("IMAGEBUILD_E2E_BUILDER") else INFRASTRUCTURE, built.output)
        self.assertIn(host, built.output)

    @only_imagebuild
    def test_a_full_disk_is_infrastructure(self):
        context = self.context({"Dockerfile": "FROM debian:12\nRUN true\n"})
        small = self.folder / "small"
        small.mkdir()
        # The mount lives and dies with the mount name space of the shell that makes it.
        script = f"mount -t tmpfs -o size=16m small {small} && TMPDIR={small} exec \"$@\""
        command = self.builder.command(context, tag=self.tag)
        command[command.index("--store") + 1] = str(small / "store")
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120, preexec_fn=processes.die_with_parent)
        self.assertEqual(done.returncode, INFRASTRUCTURE, done.stdout + done.stderr)
        self.assertRegex((done.stdout + done.stderr).lower(), "no space left|disk is full|full disk")

    @only_imagebuild
    def test_wrong_usage_has_its_own_exit_code(self):
        context = self.minimal()
        for name, command in {
            "unknown flag": self.builder.command(context, "--no-such-flag"),
            "no context": self.builder.command(context)[:-1],
            "unknown output": self.builder.command(context, "--output", "type=floppy,dest=a"),
            "bad reference": self.builder.command(context, tag="UPPER CASE"),
            "unknown command": [self.builder.command(context)[0], "bulid"],
        }.items():
            with self.subTest(name):
                done = processes.run(*command, check=False, timeout=60)
                self.assertEqual(done.returncode, USAGE, done.stdout + done.stderr)
                self.assertNotEqual(done.stderr.strip(), "")

    @only_imagebuild
    def test_a_machine_without_a_runtime_is_told_what_to_install(self):
        path = self.folder / "path"
        path.mkdir()
        for program in ("sh", "env"):
            (path / program).symlink_to(shutil.which(program))
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN true\n"})
        built = self.builder.build(context, environment={"PATH": str(path)})
        self.assert_fails(built, INFRASTRUCTURE, "runc")


if __name__ == "__main__":
    unittest.main()
