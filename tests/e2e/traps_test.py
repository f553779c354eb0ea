"""What goes wrong in builders: each of these was somebody's bug."""

import io
import tarfile
import unittest
import uuid

from harness import processes
from harness.builder import BUILDER
from harness.case import EndToEndTest, only_imagebuild


class TrapsTest(EndToEndTest):
    def build_file(self, dockerfile, files=None, **kwargs):
        return self.build(self.context({"Dockerfile": dockerfile, **(files or {})}), **kwargs)

    def test_the_environment_of_whoever_builds_does_not_leak(self):
        image = self.build_file("FROM busybox:1.35\nENV KEPT=1\nARG GIVEN=2\nRUN env > /environment\n",
                                environment={"E2E_LEAK": "leaked", "KUBERNETES_SERVICE_HOST": "10.0.0.1"})
        text = image.run("cat", "/environment").stdout
        self.assertIn("KEPT=1\n", text)
        self.assertIn("GIVEN=2\n", text)
        self.assertNotIn("leaked", text)
        self.assertNotIn("KUBERNETES", text)

    def test_mount_points_do_not_reach_the_image(self):
        image = self.build_file("FROM busybox:1.35\nRUN touch /made && cat /etc/resolv.conf /etc/hosts > /dev/null; test -d /proc/1\n")
        self.assertEqual(set(self.added(image, "busybox:1.35")), {"made"})

    def test_changes_of_every_kind_are_seen(self):
        image = self.build_file(
            "FROM busybox:1.35\n"
            "RUN mkdir /d && for f in mode owner same gone old; do echo $f > /d/$f; done && touch -d @1000000000 /d/same\n"
            "RUN chmod 4711 /d/mode && chown 7:8 /d/owner && printf SAME > /tmp/x && cat /tmp/x > /d/same && rm /tmp/x && echo >> /d/same \\\n"
            " && touch -d @1000000000 /d/same && rm /d/gone && mv /d/old /d/new && ln /d/new /d/hard && ln -s new /d/soft\n")
        self.assert_prints(image, "4711 0:0\n644 7:8\n644 0:0\nSAME\nold\nold\nhard\nmode\nnew\nowner\nsame\nsoft\n", "sh", "-c",
                           "stat -c '%a %u:%g' /d/mode /d/owner /d/same; cat /d/same /d/soft /d/hard; ls /d")
        self.assert_prints(image, "same\n", "sh", "-c", "[ $(stat -c %i /d/new) = $(stat -c %i /d/hard) ] && echo same")

    def test_a_removed_folder_that_is_made_again_is_empty(self):
        image = self.build_file("FROM busybox:1.35\nRUN mkdir /d && touch /d/a /d/b\nRUN rm -r /d && mkdir /d && touch /d/c\n")
        self.assert_prints(image, "c\n", "ls", "/d")

    def test_copying_into_a_linked_folder_of_the_base_keeps_the_link(self):
        image = self.build_file("FROM debian:12\nCOPY x /lib/x\nCOPY y /lib/\n", {"x": "x\n", "y": "y\n"})
        self.assert_prints(image, "usr/lib\nx\ny\n", "sh", "-c", "readlink /lib; cat /usr/lib/x /lib/y")
        self.assertEqual(set(self.added(image, "debian:12")), {"usr/lib/x", "usr/lib/y"})

    def test_names_of_owners_come_from_the_stage(self):
        image = self.build_file("FROM busybox:1.35\nRUN echo app:x:4321:1234::/:/bin/sh >> /etc/passwd && echo crew:x:1234: >> /etc/group\n"
                                "COPY --chown=app:crew x /x\nCOPY --chown=app x /y\nUSER app\nRUN id -u > /tmp/id\n", {"x": "x\n"})
        self.assert_prints(image, "4321:1234\n4321:1234\n4321\n4321\n", "sh", "-c", "stat -c %u:%g /x /y; cat /tmp/id; id -u")

    def test_a_background_child_neither_holds_up_its_run_nor_outlives_it(self):
        mark = f"imagebuild-e2e-{uuid.uuid4().hex}"
        self.addCleanup(processes.end_with_mark, mark)
        image = self.build_file(f"FROM busybox:1.35\nRUN env MARK={mark} sleep 3600 > /dev/null 2>&1 & echo fine > /state\n")
        if BUILDER != "buildah":  # leaves it running
            self.assertEqual(processes.with_mark(mark), {})
        self.assert_prints(image, "fine\n", "cat", "/state")

    def test_an_empty_image_can_run_its_own_program(self):
        image = self.build_file("FROM busybox:1.35 AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /bin/busybox\n"
                                'RUN ["/bin/busybox", "touch", "/made"]\nCMD ["/bin/busybox", "ls", "/made"]\n')
        self.assert_prints(image, "/made\n")
        self.assertEqual(set(self.added(image)), {"bin/busybox", "made"})

    def test_add_unpacks_an_archive_and_copy_does_not(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nADD a.tar.gz /added/\nCOPY a.tar.gz /copied/\n"})
        with tarfile.open(context / "a.tar.gz", "w:gz") as tar:
            entry = tarfile.TarInfo("inside")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"in\n"))
        self.assertEqual(set(self.added(self.build(context), "busybox:1.35")), {"added/inside", "copied/a.tar.gz"})

    @only_imagebuild  # Buildah 1.28 knows no heredocs
    def test_a_heredoc_is_a_script(self):
        image = self.build_file("FROM busybox:1.35\nRUN <<EOF\necho one > /state\necho two >> /state\nEOF\n"
                                "COPY <<motto /motto\nfine\nmotto\n")
        self.assert_prints(image, "one\ntwo\nfine\n", "cat", "/state", "/motto")

    @only_imagebuild  # Buildah writes OCI configs, which have no place for triggers
    def test_triggers_of_the_base_run_in_the_image_built_on_it(self):
        base = f"{self.registry.host}/team/base:1"
        context = self.context({"Dockerfile": "FROM busybox:1.35\nONBUILD COPY x /x\nONBUILD RUN echo y > /y\n"}, name="base")
        self.assert_built(self.builder.build(context, tag=base))
        image = self.build_file(f"FROM {base}\nRUN cat /x /y > /z\n", {"x": "x\n"})
        self.assert_prints(image, "x\ny\n", "cat", "/z")

    def test_files_of_a_volume_of_the_base_count(self):
        image = self.build_file("FROM busybox:1.35\nRUN mkdir /data\nVOLUME /data\nRUN echo before > /before\nCOPY x /data/x\n", {"x": "x\n"})
        self.assertIn("data/x", self.added(image, "busybox:1.35"))

    def test_a_name_that_is_not_ascii_survives(self):
        image = self.build_file("FROM busybox:1.35\nCOPY . /d/\n", {"grüße/日本 語": "x\n", ".dockerignore": "Dockerfile\n.dockerignore\n"})
        self.assert_prints(image, "x\n", "cat", "/d/grüße/日本 語")

    @only_imagebuild
    def test_a_context_cannot_reach_outside_itself(self):
        (self.folder / "outside").write_text("secret\n")
        context = self.context({"Dockerfile": "FROM busybox:1.35\nCOPY link /stolen\n"})
        (context / "link").symlink_to("../outside")
        built = self.builder.build(context, tag=self.tag)
        if built.exit_code == 0:
            self.assertNotIn(b"secret", b"".join(self.pull(self.tag).layer_bytes(-1).split(b"\0")))
        built = self.builder.build(self.context({"Dockerfile": "FROM busybox:1.35\nCOPY ../outside /stolen\n"}, name="second"))
        self.assertEqual(built.exit_code, 1, built.output)


if __name__ == "__main__":
    unittest.main()
