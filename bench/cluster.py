#!/usr/bin/python3
"""Times a build in a real cluster, from kubectl apply to Ready, with what happens in between on a timeline.

    bench/cluster.py [--rounds 5] [--cache claim,registry] [--markdown FILE] [--results FILE]

cold       the C example (compile, copy, push) without a cache; the base image is on the node already
no change  the same again with a cache: every stage is known
a change   one source file differs

With IMAGEBUILD_CLUSTER (tests/e2e/cluster/up.py --state) that cluster is used, and the operator that is installed in it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

from cases import TOP

from cluster import bring_up  # noqa: E402 (cases.py says where it is)
from cluster.cluster import Cluster, attach, condition_of  # noqa: E402
from harness import processes  # noqa: E402
from operator_install import NAMESPACE, install  # noqa: E402

_EXAMPLE = TOP / "examples/c-static"
_CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "results"},
          "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}}
_SECONDS = 180


class Watch:
    """Every state of the objects of one kind in a namespace, with the moment at which it was seen."""

    def __init__(self, where: Cluster, kind: str, namespace: str):
        words = [where.state["kubectl"], "--namespace", namespace, "get", kind, "--watch", "--output", "json"]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                         env=os.environ | {"KUBECONFIG": where.kubeconfig}, preexec_fn=processes.die_with_parent)
        self.seen: list[tuple[float, dict]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        text = ""
        for line in self._process.stdout:
            text += line
            if line != "}\n":  # kubectl ends each object with a brace in the first column
                continue
            found, text = json.loads(text), ""
            with self._changed:
                self.seen.append((time.monotonic(), found))
                self._changed.notify_all()

    def wait(self, reached) -> float:
        """The moment at which an object was first seen of which reached(object) is true."""
        deadline = time.monotonic() + _SECONDS
        with self._changed:
            while True:
                for moment, found in self.seen:
                    if reached(found):
                        return moment
                if not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError("the build is not over in time")

    def first(self, reached) -> float | None:
        with self._changed:
            return next((moment for moment, found in self.seen if reached(found)), None)

    def close(self) -> None:
        processes.stop(self._process)


class Builds:
    def __init__(self, where: Cluster, namespace: str):
        self._where, self._namespace, self._count = where, namespace, 0
        self._pods, self._builds = Watch(where, "pods", namespace), Watch(where, "imagebuilds", namespace)
        self._claims = Watch(where, "persistentvolumeclaims", namespace)

    def close(self) -> None:
        for watch in (self._pods, self._builds, self._claims):
            watch.close()

    def run(self, cache: dict | None, change: str = "") -> list[tuple[str, float]]:
        """Builds once; the timeline: what happened, and how many seconds after apply."""
        self._count += 1
        name = f"hello-{self._count}"
        files = {path.name: path.read_text() for path in _EXAMPLE.iterdir() if path.name != "README.md"}
        files["uptime.c"] += f"/* {change} */\n" if change else ""
        spec = {"source": {"inline": {"files": files}}, "output": {"image": f"{self._where.registry}/{self._namespace}/hello:1"},
                "cache": cache or {"disabled": True}}
        build = {"apiVersion": "imagebuild.dev/v1alpha1", "kind": "ImageBuild", "metadata": {"name": name}, "spec": spec}
        os.sync()
        started = time.monotonic()
        self._where.apply(build, namespace=self._namespace)
        applied = time.monotonic()

        def ours(found):
            return found["metadata"]["name"] == name

        def over(found):
            if ours(found) and condition_of(found, "Stalled").get("status") == "True":
                raise AssertionError(f"the build failed: {json.dumps(found['status'], indent=1)}")
            return ours(found) and condition_of(found, "Ready").get("status") == "True"
        ready = self._builds.wait(over)
        timeline = [("kubectl apply returned", applied - started)]
        timeline += [(what, moment - started) for what, moment in self._marks(name, ours)]
        timeline.append(("Ready", ready - started))
        timeline.sort(key=lambda mark: mark[1])
        self._where.kubectl("delete", "imagebuild", name, namespace=self._namespace)
        self._where.wait_until(lambda: not self._where.list("pods", self._namespace), 120, "the pods are gone", self._namespace)
        return timeline

    def _marks(self, name: str, ours):
        def pod(role: str, stage: str, more=lambda found: True):
            wanted = {"imagebuild.dev/build": name, "imagebuild.dev/role": role} | ({"imagebuild.dev/stage": stage} if stage else {})
            return self._pods.first(lambda found: wanted.items() <= found["metadata"]["labels"].items() and more(found))

        def runs(found):
            states = [status["state"] for status in found.get("status", {}).get("containerStatuses", [])]
            return any("running" in state or "terminated" in state for state in states)

        def bound(found):
            return found["spec"].get("nodeName")

        def part_done(found, part, stage):
            status = found.get("status", {})
            work = next(iter(status.get("stages", [])[int(stage):]), {}) if stage else status.get(part, {})
            return work.get("phase") == "Succeeded"

        def claim(more=lambda found: True):
            return self._claims.first(lambda found: found["metadata"].get("labels", {}).get("imagebuild.dev/build") == name and more(found))

        marks = [("claim: created", claim()), ("claim: bound", claim(lambda found: found["status"].get("phase") == "Bound"))]
        for role, stage in (("prepare", ""), *(("stage", str(number)) for number in range(2)), ("publish", "")):
            what = f"{role} {stage}".strip()
            if (created := pod(role, stage)) is None:
                continue
            marks += [(f"{what}: pod created", created), (f"{what}: on a node", pod(role, stage, bound)),
                      (f"{what}: kubelet says it runs", pod(role, stage, runs)),
                      (f"{what}: done", self._builds.first(lambda found: ours(found) and part_done(found, role, stage)))]
        return [mark for mark in marks if mark[1] is not None]


def medians(runs: list[list[tuple[str, float]]]) -> list[tuple[str, float]]:
    """Of each mark that all runs have, in the order of time."""
    marks = [dict(run) for run in runs]
    names = [name for name in marks[0] if all(name in other for other in marks)]
    return sorted(((name, statistics.median(mark[name] for mark in marks)) for name in names), key=lambda mark: mark[1])


def markdown(results: dict[str, list]) -> str:
    lines = ["| build | apply → Ready, median s | all rounds |", "|---|---|---|"]
    for case, runs in results.items():
        ends = [dict(run)["Ready"] for run in runs]
        lines.append(f"| {case} | {statistics.median(ends):.2f} | {' '.join(f'{end:.2f}' for end in sorted(ends))} |")
    for case, runs in results.items():
        lines += ["", f"{case}: when each part was seen, seconds after `kubectl apply` began", "", "| part | s | since the last |", "|---|---|---|"]
        before = 0.0
        for name, moment in medians(runs):
            lines.append(f"| {name} | {moment:.2f} | {moment - before:.2f} |")
            before = moment
    return "\n".join(lines) + "\n"


def measure(where: Cluster, rounds: int, caches: list[str]) -> dict[str, list]:
    results: dict[str, list] = {}
    with where.namespace("bench") as namespace, contextlib.closing(Builds(where, namespace)) as builds:
        where.apply(_CLAIM, namespace=namespace)
        places = {"claim": {"persistentVolumeClaim": {"claimName": "results"}},
                  "registry": {"registry": {"repository": f"{where.registry}/{namespace}/cache", "insecure": True}}}
        builds.run(None)  # Pulls the images.
        for number in range(rounds):
            results.setdefault("cold", []).append(builds.run(None))
            for kind in caches:
                if number == 0:
                    builds.run(places[kind])
                results.setdefault(f"no change, cache in a {kind}", []).append(builds.run(places[kind]))
                results.setdefault(f"one file changed, cache in a {kind}", []).append(builds.run(places[kind], f"{kind} {number}"))
            print(f"round {number + 1} of {rounds}: " + ", ".join(f"{case} {dict(runs[-1])['Ready']:.2f}" for case, runs in results.items()),
                  file=sys.stderr, flush=True)
    return results


@contextlib.contextmanager
def cluster_with_operator():
    if os.environ.get("IMAGEBUILD_CLUSTER"):
        yield attach()
        return
    with bring_up.cluster(1, lambda text: print(text, file=sys.stderr, flush=True)) as state:
        where = Cluster(state)
        where.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        install(where)
        yield where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", default="claim,registry", help="which caches: claim, registry or both")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the tables there too")
    parser.add_argument("--results", type=pathlib.Path, default=TOP / "bench/results/cluster.json")
    options = parser.parse_args()
    with cluster_with_operator() as where:
        results = measure(where, options.rounds, options.cache.split(","))
    text = markdown(results)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
