"""Whoever ends a build in the middle of a RUN finds nothing left of it."""

import os
import pathlib
import select
import signal
import unittest
import uuid

from harness import processes
from harness.case import EndToEndTest, mounts_below, only_imagebuild


@only_imagebuild
class InterruptTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.mark = f"imagebuild-e2e-{uuid.uuid4().hex}"
        self.addCleanup(processes.end_with_mark, self.mark)
        self.output = self.folder / "out"
        self.output.mkdir()
        self.context_folder = self.context({"Dockerfile": f"FROM busybox:1.35\nRUN echo it-runs; env MARK={self.mark} sleep 3600\n"})

    def end_in_the_middle(self, number: signal.Signals) -> int:
        """Sends the signal while the RUN runs; returns the exit code once everything it started is gone."""
        build = self.builder.start(self.context_folder, "--output", f"type=oci,dest={self.output}/layout",
                                   "--output", f"type=oci-archive,dest={self.output}/image.tar", tag=self.tag)
        self.addCleanup(build.stdout.close)
        said = processes.read_until(build, lambda text: processes.printed("it-runs", text))
        self.assertIsNone(build.poll(), said)
        self.assertTrue(processes.sleeping_with_mark(self.mark, build), f"the RUN's process was not found\n{said}")
        handles = [os.pidfd_open(pid) for pid in processes.with_mark(self.mark)]
        build.send_signal(number)
        code = build.wait(timeout=60)
        for handle in handles:
            with os.fdopen(handle):
                ended, _, _ = select.select([handle], [], [], 20)
                self.assertTrue(ended, f"a process of the RUN outlived the build:\n{said}")
        return code

    def assert_nothing_is_left(self):
        self.assertEqual(processes.with_mark(self.mark), {})
        self.assertEqual(mounts_below(self.folder), [])
        self.assertEqual(list(self.output.iterdir()), [])

    def test_an_interrupt_leaves_nothing(self):
        cgroups = set(pathlib.Path("/sys/fs/cgroup").glob("**/*imagebuild*"))
        self.assertNotEqual(self.end_in_the_middle(signal.SIGINT), 0)
        self.assert_nothing_is_left()
        self.assertEqual(set(pathlib.Path("/sys/fs/cgroup").glob("**/*imagebuild*")) - cgroups, set())

    def test_a_termination_leaves_nothing(self):
        self.assertNotEqual(self.end_in_the_middle(signal.SIGTERM), 0)
        self.assert_nothing_is_left()

    def test_a_kill_leaves_nothing(self):
        self.assertEqual(self.end_in_the_middle(signal.SIGKILL), -signal.SIGKILL)
        self.assert_nothing_is_left()

    def test_the_next_build_works_on_the_same_store(self):
        self.end_in_the_middle(signal.SIGKILL)
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN echo fine > /state\n"}, name="next")
        self.assert_built(self.builder.build(context, tag=self.tag))
        self.assert_prints(self.pull(self.tag), "fine\n", "cat", "/state")


if __name__ == "__main__":
    unittest.main()
