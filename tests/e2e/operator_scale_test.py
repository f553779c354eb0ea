"""Many ImageBuilds at once: the limit holds, everybody comes to their turn, and the operator stays small."""

import threading
import unittest

from cluster.cluster import condition_of
from image_builds import HOLD
from operator_release import ReleaseTestCase

_BUILDS, _LIMIT = 50, 5
# Without a RUN the two pods around a build do all the work.
_TINY = "FROM scratch\nCOPY Dockerfile /\nLABEL number={}\n"


def _is_under_way(build: dict) -> bool:
    status = build.get("status", {})
    return "startTime" in status and "completionTime" not in status


class OperatorScaleTest(ReleaseTestCase):
    def under_way(self) -> int:
        return sum(map(_is_under_way, self.cluster.list("imagebuilds", self.namespace)))

    def test_fifty_builds_at_once_keep_to_the_limit_and_all_succeed(self):
        self.install(concurrency=_LIMIT)
        leader = self.wait_leader()
        before = self._requests(leader)
        names = [f"app-{number:02}" for number in range(_BUILDS)]
        most = _Most(self.under_way, lambda: self.metrics(leader)["imagebuild_builds_running"])
        with most:
            for first in range(0, _BUILDS, 10):
                self.apply([self.image_build(name, _TINY.format(name)) for name in names[first:first + 10]])
            self.cluster.wait_until(lambda: all(map(_has_ended, self.cluster.list("imagebuilds", self.namespace))), 600,
                                    "all builds have ended", self.namespace)
        builds = {build["metadata"]["name"]: build for build in self.cluster.list("imagebuilds", self.namespace)}
        self.assertEqual({name: condition_of(builds[name], "Ready")["status"] for name in names}, dict.fromkeys(names, "True"))
        self.assertEqual(most.seen, [_LIMIT, _LIMIT])
        self._assert_in_order(list(builds.values()))
        metrics = self.metrics(leader)
        self.assertLess(metrics["process_resident_memory_bytes"], 100e6)
        self.assertEqual(metrics["imagebuild_builds_running"], 0)
        self.assertEqual(metrics["imagebuild_queue_seconds_count"], _BUILDS)
        requests = {kind: round((number - before.get(kind, 0)) / _BUILDS, 1) for kind, number in self._requests(leader).items()}
        first = min(build["metadata"]["creationTimestamp"] for build in builds.values())
        last = max(build["status"]["completionTime"] for build in builds.values())
        print(f"{_BUILDS} builds, {_LIMIT} at once, from {first} to {last}; memory "
              f"{metrics['process_resident_memory_bytes'] / 1e6:.0f} MB; requests a build: {sum(requests.values()):.1f} {requests}")
        self.assertLess(sum(requests.values()), 60)

    def test_the_limit_holds_when_another_replica_takes_over(self):
        self.install(concurrency=2)
        leader = self.wait_leader()
        running = ["z-1", "z-2"]
        for name in running:
            self.build(name, f"FROM busybox:1.35 AS held\nRUN {HOLD}\n")
        pods = [self.wait_running(name, "held") for name in running]
        waiting = [f"a-{number}" for number in range(8)]
        self.apply([self.image_build(name, _TINY.format(name)) for name in waiting])
        for name in waiting:
            self.wait_reason(name, "Queued")
        self.operator_kubectl("delete", "pod", leader, "--wait=false")
        new = self.wait_leader(other_than=leader)
        self.cluster.wait_until(lambda: self._has_looked_at(new, len(running + waiting)), 30,
                                "the new leader has looked at every build", self.release_namespace)
        self.assertEqual([name for name in waiting if "startTime" in self.status(name)], [])
        for pod in pods:
            self.let_go(pod)
        for name in running + waiting:
            self.wait_ready(name, 120)

    def _has_looked_at(self, leader: str, builds: int) -> bool:
        metrics = self.metrics(leader)
        looked = sum(value for series, value in metrics.items() if series.startswith("controller_runtime_reconcile_total"))
        return looked >= builds and metrics['workqueue_depth{name="imagebuild"}'] == 0

    def _requests(self, pod: str) -> dict[str, float]:
        """Method and code → how many requests to the API server."""
        prefix = "rest_client_requests_total"
        return {series.removeprefix(prefix): value for series, value in self.metrics(pod).items() if series.startswith(prefix)}

    def _assert_in_order(self, builds: list[dict]) -> None:
        """Who was created in an earlier second did not start later."""
        builds.sort(key=lambda build: (build["metadata"]["creationTimestamp"], build["status"]["startTime"]))
        starts = [(build["status"]["startTime"], build["metadata"]["creationTimestamp"], build["metadata"]["name"]) for build in builds]
        late = [(one, other) for one, other in zip(starts, starts[1:]) if one[1] < other[1] and one[0] > other[0]]
        self.assertEqual(late, [])


def _has_ended(build: dict) -> bool:
    return "completionTime" in build.get("status", {})


class _Most:
    """The most that each of some numbers was while this was entered."""

    def __init__(self, *numbers):
        self.seen = [0] * len(numbers)
        self._numbers, self._over, self._failure = numbers, threading.Event(), None
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        try:
            while not self._over.wait(0.2):
                self.seen = [max(seen, number()) for seen, number in zip(self.seen, self._numbers)]
        except (AssertionError, OSError) as failure:
            self._failure = failure

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        if self._failure:
            raise AssertionError("not watched to the end") from self._failure


if __name__ == "__main__":
    unittest.main()
