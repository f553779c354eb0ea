"""What the Dockerfile's language needs of the cluster: mounts of RUN, named contexts, hosts and limits, warnings."""

import subprocess
import unittest

from cluster.cluster import condition_of
from image_builds import HeldBuildsTestCase
from mounts_test import ASK_AGENT

_CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "caches"},
          "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
_ROUNDS = """
FROM busybox:1.35
ARG ROUND
RUN --mount=type=cache,target=/cache echo $ROUND >> /cache/rounds && cat /cache/rounds > /seen
"""


def _round(number: int) -> list[dict]:
    return [{"name": "ROUND", "value": str(number)}]


class OperatorLanguageTest(HeldBuildsTestCase):
    def cache_claim(self) -> dict:
        self.apply(_CLAIM)
        return {"persistentVolumeClaim": {"claimName": "caches"}}

    def make_key(self) -> str:
        """A Secret `keys` with a private key under `ssh`; a line of that key."""
        key = self.folder / "key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
        self.kubectl("create", "secret", "generic", "keys", f"--from-file=ssh={key}")
        return key.read_text().splitlines()[1]

    def test_a_step_has_all_its_mounts_and_leaves_none_of_them(self):
        line = self.make_key()
        self.kubectl("create", "secret", "generic", "tokens", "--from-literal=npm=s3cret")
        self.build("app", """
FROM python:3.11
RUN --mount=target=/src --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch \\
    --mount=type=secret,id=npm,target=/token,required --mount=type=ssh,required,mode=0666 \\
    cat /src/one > /out && wc -c < /token >> /out && touch /scratch/x /cache/x && python3 /src/ask.py >> /out
RUN ls -d /src/one /cache/x /scratch/x /token /run/buildkit 2>/dev/null >> /out; test -z "$SSH_AUTH_SOCK"
""", {"one": "1\n", "ask.py": ASK_AGENT}, secrets=[{"id": "npm", "secretKeyRef": {"name": "tokens", "key": "npm"}}],
                   ssh=[{"secretKeyRef": {"name": "keys", "key": "ssh"}}], cacheMounts=self.cache_claim())
        status = self.wait_ready("app")
        image = self.image("app")
        self.assert_prints(image, "1\n6\nkeys: 1 mode: 0o666 owner: 0\n", "cat", "/out")
        for index in range(len(image.diff_ids)):
            self.assertNotIn(line.encode(), image.layer_bytes(index))
            self.assertNotIn(b"s3cret", image.layer_bytes(index))
        self.assertFalse(status.get("warnings"), status)

    def test_the_second_build_finds_the_cache_of_the_first(self):
        claim = self.cache_claim()
        self.build("app", _ROUNDS, cacheMounts=claim, buildArgs=_round(1))
        self.wait_ready("app")
        self.patch("app", buildArgs=_round(2))
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "1\n2\n", "cat", "/seen")
        # And so does another ImageBuild that names the claim.
        self.build("other", _ROUNDS, cacheMounts=claim, buildArgs=_round(3))
        self.assertFalse(self.wait_ready("other").get("warnings"))
        self.assert_prints(self.image("other"), "1\n2\n3\n", "cat", "/seen")

    def test_without_a_claim_caches_begin_empty_and_a_warning_says_so(self):
        self.build("app", _ROUNDS, buildArgs=_round(1))
        self.wait_ready("app")
        self.patch("app", buildArgs=_round(2))
        warnings = self.wait_ready("app")["warnings"]
        self.assert_prints(self.image("app"), "2\n", "cat", "/seen")
        found = [warning for warning in warnings if "spec.cacheMounts" in warning["message"]]
        self.assertEqual([warning["line"] for warning in found], [4], warnings)
        self.assertRegex(self.wait_event("app", "BuildWarnings"), r"^\d+ warnings?: ")

    def test_a_missing_claim_for_caches_is_named_until_it_is_made(self):
        self.build("app", _ROUNDS, cacheMounts={"persistentVolumeClaim": {"claimName": "caches"}}, buildArgs=_round(1))
        self.assertIn("'caches'", self.wait_reason("app", "MissingClaim"))
        self.cache_claim()
        self.wait_ready("app")

    def test_two_stages_at_once_share_a_cache(self):
        stage = "RUN --mount=type=cache,id=one,target=/cache touch /cache/{0} && until [ -e /cache/{1} ]; do sleep 0.1; done; touch /{0}"
        self.build("app", "FROM busybox:1.35 AS a\n" + stage.format("a", "b") + "\nFROM busybox:1.35 AS b\n" + stage.format("b", "a") +
                   "\nFROM busybox:1.35\nCOPY --from=a /a /\nCOPY --from=b /b /\n", cacheMounts=self.cache_claim())
        self.wait_ready("app")

    def test_named_contexts_are_files_and_images(self):
        self.kubectl("create", "configmap", "assets", "--from-literal=logo=from a ConfigMap")
        self.build("app", """
FROM alpine:3.18
COPY --from=assets logo /logo
RUN --mount=from=texts,source=sub,target=/texts cat /texts/file > /text
""", contexts=[{"name": "alpine:3.18", "image": "busybox:1.35"}, {"name": "assets", "configMapRef": {"name": "assets"}},
               {"name": "texts", "inline": {"files": {"top/sub/file": "inline\n"}}, "subPath": "top"}])
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "from a ConfigMapinline\n", "cat", "/logo", "/text")

    def test_hosts_limits_and_shared_memory_are_those_of_the_spec(self):
        self.build("app", "FROM busybox:1.35\nRUN grep registry.test /etc/hosts | tr '\\t' ' ' > /out; ulimit -n >> /out; "
                   "df -k /dev/shm | tail -n 1 | awk '{print $1}' >> /out\nRUN test -z \"$(ls /dev/shm)\" && touch /dev/shm/x\n",
                   extraHosts=[{"ip": "10.1.2.3", "hostnames": ["registry.test"]}], ulimits=[{"name": "nofile", "soft": 77, "hard": 99}],
                   shmSize="2Mi")
        self.wait_ready("app")
        self.assert_prints(self.image("app"), "10.1.2.3 registry.test\n77\ntmpfs\n", "cat", "/out")

    def test_what_no_pod_can_do_is_refused_before_any_stage(self):
        watch = self.watch_pods()
        self.build("network", "FROM busybox:1.35 AS first\nRUN true\nFROM first\nRUN --network=host true\n")
        self.build("key", "FROM busybox:1.35\nRUN true\nRUN --mount=type=ssh,id=github,required true\n")
        failure = self.wait_failed("network", "Unsupported")["failure"]
        self.assertEqual((failure["line"], failure["stage"]), (4, "1"))
        self.assertIn("Dockerfile:4:1: RUN --network=host", failure["message"])
        failure = self.wait_failed("key", "NotFound")["failure"]
        self.assertEqual((failure["line"], failure["step"]), (3, "RUN --mount=type=ssh,id=github,required true"))
        self.assertIn("spec.ssh", failure["message"])
        self.assertIn("'github'", failure["message"])
        self.assertEqual(watch.pods("stage"), [])

    def test_a_run_without_network_has_none_or_is_refused(self):
        self.build("app", "FROM busybox:1.35\nRUN --network=none ip -o link | cut -d: -f2 > /out\n")
        def ended(found):
            return condition_of(found, "Succeeded").get("status") in ("True", "False")
        status = self.wait_for("imagebuild", "app", ended, 90, "app has ended")["status"]
        if "failure" not in status:  # the container may make a network of its own
            return self.assert_prints(self.image("app"), " lo\n", "cat", "/out")
        failure = status["failure"]
        self.assertEqual((failure["reason"], failure["line"]), ("Unsupported", 2))
        self.assertIn("--network=none cannot be had in this container", failure["message"])

    def test_the_checks_of_the_dockerfile_are_warnings_with_their_rule(self):
        self.build("app", "FROM busybox:1.35 AS Build\nRUN true\n", {}, target="build")
        warnings = self.wait_ready("app")["warnings"]
        self.assertIn(("StageNameCasing", 1), [(warning.get("rule"), warning.get("line")) for warning in warnings])
        self.assertIn("StageNameCasing (1)", self.wait_event("app", "BuildWarnings"))


if __name__ == "__main__":
    unittest.main()
