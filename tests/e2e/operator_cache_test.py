"""The cache of results in a cluster: what an earlier build made is not made again."""

import unittest

from image_builds import HeldBuildsTestCase, stage_of

_CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "results"},
          "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
# Two stages with a pod each, one after the other, and one that takes files of both.
_DOCKERFILE = """
FROM busybox:1.35 AS first
COPY first.txt /in
RUN date +%N > /first && cat /in >> /first

FROM busybox:1.35 AS second
COPY second.txt /in
COPY --from=first /in /of-first
RUN cat /in /of-first > /second

FROM busybox:1.35
COPY --from=first /first /
COPY --from=second /second /
"""
_FILES = {"first.txt": "one\n", "second.txt": "two\n"}


class OperatorCacheTest(HeldBuildsTestCase):
    def claim(self) -> dict:
        self.apply(_CLAIM)
        return {"persistentVolumeClaim": {"claimName": "results"}}

    def registry(self) -> dict:
        return {"registry": {"repository": f"{self.repository('results')}", "insecure": True}}

    def run_build(self, name: str, cache: dict, **changed) -> tuple[dict, list[str]]:
        """The status of a build that has ended, and its stages that had pods."""
        watch = self.watch_pods()
        self.build(name, _DOCKERFILE, _FILES | changed, cache=cache)
        status = self.wait_ready(name)
        own = {"imagebuild.dev/build": name, "imagebuild.dev/generation": str(status["build"]["generation"])}
        ran = [pod for pod in watch.pods("stage") if own.items() <= pod["metadata"]["labels"].items()]
        watch.close()
        return status, sorted(pod["metadata"]["annotations"]["imagebuild.dev/stage-name"] for pod in ran)

    def check(self, cache: dict) -> None:
        first, ran = self.run_build("first", cache)
        self.assertEqual(ran, ["first", "second"])
        self.assertFalse(first.get("warnings"), first)

        # Another ImageBuild that asks for the same.
        again, ran = self.run_build("again", cache)
        self.assertEqual(ran, [])
        self.assertEqual(again["image"]["digest"], first["image"]["digest"])
        self.assertTrue(all(stage.get("cached") for stage in again["stages"]), again["stages"])

        # Only what depends on the file; `first` writes the time, so it would not be the same again.
        second, ran = self.run_build("again", cache, **{"second.txt": "changed\n"})
        self.assertEqual(ran, ["second"])
        self.assertTrue(stage_of(second, "first").get("cached"), second["stages"])
        self.assertIn("second.txt", stage_of(second, "second").get("changed", ""))
        self.assertNotEqual(second["image"]["digest"], first["image"]["digest"])
        self.assert_prints(self.image("again"), "changed\none\n", "cat", "/second")

    def test_a_claim_spares_the_pods_of_what_is_known(self):
        self.check(self.claim())

    def test_a_repository_spares_the_pods_of_what_is_known(self):
        self.check(self.registry())

    def check_failed(self, cache: dict) -> None:
        watch = self.watch_pods()
        self.build("app", _DOCKERFILE.replace("> /second", "> /second && exit 7"), _FILES, cache=cache)
        failed = self.wait_failed("app", "StepFailed")
        self.assertEqual(failed["failure"]["exitCode"], 7)
        kept = self.cluster.wait_until(lambda: [pod for pod in watch.pods("keep") if pod["status"]["phase"] not in ("Pending", "Running")],
                                       60, "the results are kept", self.namespace)
        self.assertEqual([pod["status"]["phase"] for pod in kept], ["Succeeded"])
        self.assertFalse(self.status("app").get("warnings"), self.status("app"))

        mended, ran = self.run_build("app", cache)
        self.assertEqual(ran, ["second"])
        self.assertTrue(stage_of(mended, "first").get("cached"), mended["stages"])
        self.assert_prints(self.image("app"), "two\none\n", "cat", "/second")

    def test_a_build_that_failed_leaves_what_it_made_on_the_claim(self):
        self.check_failed(self.claim())

    def test_a_build_that_failed_leaves_what_it_made_in_the_repository(self):
        self.check_failed(self.registry())

    def test_stages_do_not_see_the_claim(self):
        watch = self.watch_pods()
        self.build("app", _DOCKERFILE, _FILES, cache=self.claim())
        self.wait_ready("app")
        for pod in watch.pods():
            claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["spec"]["volumes"]]
            role = pod["metadata"]["labels"]["imagebuild.dev/role"]
            self.assertEqual("results" in claims, role in ("prepare", "publish"), role)

    def test_a_disabled_cache_is_not_used(self):
        cache = self.claim()
        self.run_build("app", cache)
        _, ran = self.run_build("other", cache | {"disabled": True})
        self.assertEqual(ran, ["first", "second"])

    def test_a_broken_cache_is_a_warning(self):
        status, ran = self.run_build("app", {"registry": {"repository": "127.0.0.1:1/team/cache"}})
        self.assertEqual(ran, ["first", "second"])
        self.assertTrue(any("127.0.0.1:1/team/cache" in warning["message"] for warning in status["warnings"]), status)

    def test_a_missing_claim_is_named_until_it_is_made(self):
        self.build("app", _DOCKERFILE, _FILES, cache={"persistentVolumeClaim": {"claimName": "results"}})
        self.assertIn("'results'", self.wait_reason("app", "MissingClaim"))
        self.claim()
        self.wait_ready("app")


if __name__ == "__main__":
    unittest.main()
