"""Builds over two nodes: stages spread or stay together, and what they make arrives."""

import unittest

from image_builds import HOLD, HeldBuildsTestCase

_TWO_AT_ONCE = f"""
FROM busybox:1.35 AS left
RUN {HOLD}; echo left > /left
FROM busybox:1.35 AS right
RUN {HOLD}; echo right > /right
FROM busybox:1.35
COPY --from=left /left /
COPY --from=right /right /
RUN cat /left /right > /both
"""
_SHARED = {"volume": {"accessModes": ["ReadWriteMany"]}}
_HOST = "kubernetes.io/hostname"


def _nodes(status: dict) -> list[str]:
    """Where the pods of the build ran, each node once."""
    return sorted({work["node"] for work in (status["prepare"], status["publish"], *status["stages"])})


class OperatorNodesTest(HeldBuildsTestCase):
    def setUp(self):
        super().setUp()
        if len(self.cluster.nodes) < 2:
            self.skipTest("wants a cluster of two nodes")

    def milli_cpu(self, node: str) -> int:
        amount = self.cluster.get("node", node)["status"]["allocatable"]["cpu"]
        return int(amount[:-1]) if amount.endswith("m") else int(amount) * 1000

    def finish(self, name: str) -> dict:
        """Waits until both stages run at once, and lets them go on: the status at the end."""
        pods = [self.wait_running(name, "left"), self.wait_running(name, "right")]
        for pod in pods:
            self.let_go(pod)
        status = self.wait_ready(name)
        self.assert_prints(self.image(name), "left\nright\n", "cat", "/both")
        return status

    def test_independent_stages_run_on_both_nodes_at_once(self):
        # Of two such pods no node has room for both.
        most = max(self.milli_cpu(node) for node in self.cluster.nodes) * 6 // 10
        needs = {"resources": {"requests": {"cpu": f"{most}m"}}}
        self.build("app", _TWO_AT_ONCE, artifacts=_SHARED, stages=[{"name": "left"} | needs, {"name": "right"} | needs])
        status = self.finish("app")
        self.assertEqual(sorted(stage["node"] for stage in status["stages"][:2]), self.cluster.nodes)

    def test_stages_land_where_their_selector_says(self):
        places = dict(zip(("right", "left"), self.cluster.nodes))
        stages = [{"name": stage, "nodeSelector": {_HOST: node}} for stage, node in places.items()]
        self.build("app", _TWO_AT_ONCE, artifacts=_SHARED, stages=stages)
        status = self.finish("app")
        self.assertEqual({stage["name"]: stage["node"] for stage in status["stages"][:2]}, places)

    def test_without_a_shared_volume_all_pods_of_a_build_are_on_one_node(self):
        for name in ("one", "two", "three"):
            self.build(name, _TWO_AT_ONCE)
        for name in ("one", "two", "three"):
            self.assertEqual(len(_nodes(self.finish(name))), 1, name)

    def test_a_build_whose_stages_all_select_one_node_runs_there(self):
        node = self.cluster.nodes[1]
        self.build("app", _TWO_AT_ONCE, stageDefaults={"nodeSelector": {_HOST: node}})
        self.assertEqual(_nodes(self.finish("app")), [node])

    def test_a_stage_that_selects_a_node_takes_the_build_there_if_the_volume_is_for_one(self):
        node = self.cluster.nodes[1]
        self.build("app", _TWO_AT_ONCE, stages=[{"name": "right", "nodeSelector": {_HOST: node}}])
        self.assertEqual(_nodes(self.finish("app")), [node])


if __name__ == "__main__":
    unittest.main()
