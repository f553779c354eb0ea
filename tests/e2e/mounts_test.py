"""RUN --mount, --network and the limits of a RUN, from the Dockerfile to the image."""

import subprocess
import unittest

from harness.case import EndToEndTest, only_imagebuild

# Says how many keys the agent has, as RFC draft-miller-ssh-agent asks for them, and whose the socket is.
ASK_AGENT = """
import os, socket, stat, struct
path = os.environ["SSH_AUTH_SOCK"]
status = os.stat(path)
agent = socket.socket(socket.AF_UNIX)
agent.connect(path)
agent.sendall(struct.pack(">IB", 1, 11))
answer = b""
while len(answer) < 9:
    answer += agent.recv(4096)
print("keys:", struct.unpack(">I", answer[5:9])[0], "mode:", oct(stat.S_IMODE(status.st_mode)), "owner:", status.st_uid)
"""


class MountsTest(EndToEndTest):
    def test_a_bind_mount_shows_the_context_and_leaves_nothing(self):
        context = self.context({
            "Dockerfile": "FROM busybox:1.35\nWORKDIR /src\n"
                          "RUN --mount=type=bind,target=. cat app/one two > /out && test ! -e ignored\n"
                          "RUN --mount=type=bind,source=app,target=/elsewhere,rw echo x > /elsewhere/new\n"
                          "RUN test ! -e /elsewhere && test -z \"$(ls -A /src)\"\n",
            "app/one": "1\n", "two": "2\n", "ignored": "no\n", ".dockerignore": "ignored\n"})
        image = self.build(context)
        self.assert_prints(image, "1\n2\n", "cat", "/out")
        self.assertEqual(set(self.added(image, "busybox:1.35")), {"src", "out"})

    def test_a_bind_mount_shows_another_stage_and_an_image(self):
        context = self.context({
            "Dockerfile": "FROM busybox:1.35 AS tools\nRUN mkdir /tools && echo tool > /tools/name && ln -s name /tools/link\n"
                          "FROM busybox:1.35\n"
                          "RUN --mount=from=tools,source=/tools,target=/t cat /t/link > /out\n"
                          "RUN --mount=from=busybox:1.35,source=/bin,target=/b test -e /b/busybox && echo image >> /out\n"})
        image = self.build(context)
        self.assert_prints(image, "tool\nimage\n", "cat", "/out")
        self.assertEqual(set(self.added(image, "busybox:1.35")), {"out"})

    @only_imagebuild
    def test_a_missing_source_is_an_error_with_its_line(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN --mount=source=ap,target=/a true\n", "app": "x"})
        self.assert_fails(self.builder.build(context), 1, "Dockerfile:2", "/ap", "did you mean")

    def test_a_cache_outlives_the_build_and_never_reaches_the_image(self):
        text = ("FROM busybox:1.35\nARG ROUND\nRUN --mount=type=cache,target=/var/cache/app "
                "echo \"$ROUND\" >> /var/cache/app/rounds && cat /var/cache/app/rounds > /seen\n")
        context = self.context({"Dockerfile": text})
        self.build(context, "--build-arg", "ROUND=1")
        image = self.build(context, "--build-arg", "ROUND=2", "--no-cache")
        self.assert_prints(image, "1\n2\n", "cat", "/seen")
        self.assertEqual(set(self.added(image, "busybox:1.35")), {"seen"})

    def test_caches_of_another_id_are_others(self):
        context = self.context({
            "Dockerfile": "FROM busybox:1.35\nRUN --mount=type=cache,id=a,target=/c echo a > /c/file\n"
                          "RUN --mount=type=cache,id=b,target=/c test ! -e /c/file\n"
                          "RUN --mount=type=cache,id=a,target=/elsewhere cat /elsewhere/file > /out\n"})
        self.assert_prints(self.build(context), "a\n", "cat", "/out")

    def test_a_new_cache_begins_with_a_stage_and_has_its_owner(self):
        context = self.context({
            "Dockerfile": "FROM busybox:1.35 AS seed\nRUN mkdir /seed && echo seeded > /seed/file\nFROM busybox:1.35\n"
                          "RUN --mount=type=cache,id=s,from=seed,source=/seed,target=/c cat /c/file > /out\n"
                          "RUN --mount=type=cache,id=o,uid=12,gid=34,mode=0700,target=/c stat -c '%a %u %g' /c >> /out\n"})
        self.assert_prints(self.build(context), "seeded\n700 12 34\n", "cat", "/out")

    def test_a_tmpfs_is_empty_and_gone_afterwards(self):
        context = self.context({
            "Dockerfile": "FROM busybox:1.35\nRUN echo kept > /tmp/kept\n"
                          "RUN --mount=type=tmpfs,target=/tmp,size=1m test -z \"$(ls -A /tmp)\" && echo gone > /tmp/gone\n"
                          "RUN ls /tmp > /out\n"})
        self.assert_prints(self.build(context), "kept\n", "cat", "/out")

    def test_one_mount_may_lie_in_another(self):
        context = self.context({
            "Dockerfile": "FROM busybox:1.35\nWORKDIR /src\n"
                          "RUN --mount=target=. --mount=type=cache,target=/src/modules echo m > modules/file && ls > /out\n",
            "main": "x"})
        self.assert_prints(self.build(context), "Dockerfile\nmain\nmodules\n", "cat", "/out")

    @only_imagebuild
    def test_a_run_asks_an_agent_with_the_keys_of_a_file(self):
        key = self.folder / "key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
        context = self.context({
            "Dockerfile": "FROM python:3.11\nCOPY ask.py /\nRUN --mount=type=ssh,uid=7,mode=0666 python3 /ask.py > /out\n"
                          "RUN test ! -e /run/buildkit && test -z \"$SSH_AUTH_SOCK\"\n", "ask.py": ASK_AGENT})
        image = self.build(context, "--ssh", f"default={key}")
        self.assert_prints(image, "keys: 1 mode: 0o666 owner: 7\n", "cat", "/out")
        body = key.read_text().splitlines()[1]
        for index in range(len(image.diff_ids)):
            self.assertNotIn(body.encode(), image.layer_bytes(index))

    @only_imagebuild
    def test_a_required_agent_that_was_not_given_is_named(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN --mount=type=ssh,id=git,required=true true\n"})
        self.assert_fails(self.builder.build(context), 1, "Dockerfile:2", "--ssh git")
        optional = self.context({"Dockerfile": "FROM busybox:1.35\nRUN --mount=type=ssh test ! -e \"$SSH_AUTH_SOCK\"\n"}, "other")
        self.assert_built(self.builder.build(optional))

    @only_imagebuild
    def test_a_run_without_network_has_the_loopback_alone(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\n"
                                              "RUN --network=none ip -o link | cut -d: -f2 > /out && ping -c 1 127.0.0.1\n"})
        self.assert_prints(self.build(context), " lo\n", "cat", "/out")

    @only_imagebuild
    def test_hosts_limits_and_shared_memory_are_as_asked(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN grep registry.test /etc/hosts > /out; ulimit -n >> /out; "
                                              "df -k /dev/shm | tail -n 1 | awk '{print $2}' >> /out\n"})
        image = self.build(context, "--add-host", "registry.test:10.1.2.3", "--ulimit", "nofile=77:99", "--shm-size", "2m")
        self.assert_prints(image, "10.1.2.3 registry.test\n77\n2048\n", "cat", "/out")


if __name__ == "__main__":
    unittest.main()
