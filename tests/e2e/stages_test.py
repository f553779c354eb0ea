"""Which stages run, and when."""

import os
import signal
import unittest
import uuid

from harness import processes
from harness.case import EndToEndTest, only_imagebuild


class StagesTest(EndToEndTest):
    def test_a_stage_that_nobody_needs_is_not_run(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35 AS broken\nRUN exit 9\nFROM busybox:1.35\nRUN echo fine > /state\n"})
        self.assert_prints(self.build(context), "fine\n", "cat", "/state")

    def test_the_target_is_the_image(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35 AS first\nRUN echo first > /state\nFROM first\nRUN exit 9\n"})
        self.assert_prints(self.build(context, "--target", "first"), "first\n", "cat", "/state")

    def test_a_stage_can_build_on_another(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35 AS one\nRUN echo 1 > /a && echo 1 > /b\nENV WHO=one\n"
                                              "FROM one\nRUN rm /a && echo \"$WHO\" >> /b\n"})
        image = self.build(context)
        self.assert_prints(image, "1\none\n", "cat", "/b")
        self.assertEqual(image.run("test", "-e", "/a").returncode, 1)

    @only_imagebuild
    def test_independent_stages_run_at_the_same_time(self):
        mark = f"imagebuild-e2e-{uuid.uuid4().hex}"
        stage = "FROM busybox:1.35 AS {name}\nRUN echo {name}-waits; env MARK={mark}-{name} sleep 3600; touch /{name}\n"
        text = "".join(stage.format(name=name, mark=mark) for name in ("left", "right"))
        context = self.context({"Dockerfile": text + "FROM scratch\nCOPY --from=left /left /\nCOPY --from=right /right /\n"})
        self.addCleanup(processes.end_with_mark, mark)
        build = self.builder.start(context, tag=self.tag)
        try:
            # Neither stage can end before both have begun: their sleeps are ended only then.
            both = lambda text: processes.printed("left-waits", text) and processes.printed("right-waits", text)
            said = processes.read_until(build, both)
            self.assertTrue(both(said), said)
            for name in ("left", "right"):
                for pid in processes.sleeping_with_mark(f"{mark}-{name}", build):
                    os.kill(pid, signal.SIGKILL)
            said += processes.read_until(build, lambda text: False)
            self.assertEqual(build.wait(timeout=10), 0, said)
        finally:
            build.kill()
            build.wait()
            build.stdout.close()
        self.assertEqual(set(self.added(self.pull(self.tag))), {"left", "right"})


if __name__ == "__main__":
    unittest.main()
