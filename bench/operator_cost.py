#!/usr/bin/python3
"""What the operator itself costs: on a real API server behind which there is no kubelet and no other controller.

    bench/operator_cost.py [--rounds 5] [--small] [--results FILE]

Latency from the API server's answer to the creation of an ImageBuild to its first pod; many at once; a start with many
finished ones; and the requests of a build from its beginning to its end. Each at three sizes; medians of the rounds.
The operator runs with its default settings. Larger sizes on the tests' fake API server, if the program serve_fake_api lies
beside the others.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from api_server import BUILDS, NAMESPACE, PODS, ApiServer, FakeApiServer, free_port
from cases import programs, write_results
from harness import processes
from played import Cluster, image_build

_ONE_AFTER_ANOTHER = 100
_WATCHED = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_AT_ONCE, _FINISHED = (50, 200, 500), (1_000, 3_000, 10_000)
_FAKE_AT_ONCE, _FAKE_FINISHED = (500, 1_000, 2_000), (10_000, 20_000, 30_000)
_REST_SECONDS = 10
_CREATORS = 4

# As issue 5 quotes them: measured on such a server (v1.36, 2 cores, everything on one machine). Not measured here.
_QUOTED = {
    "p50": "Tekton 1.15: 13 ms; Shipwright 0.20: 21 ms",
    "at once": "Tekton 99 s (7.9 s tuned); Shipwright 15.5 s",
    "requests": "Tekton 8",
    "conflicts": "Tekton: every first status write",
    "memory": "Tekton 113 MiB with 5 000",
    "first": "Tekton: none within 60 s",
}


class Operator:
    """A process of it with its default settings, and what it says of itself."""

    def __init__(self, program: pathlib.Path, kubeconfig: pathlib.Path):
        self._port = free_port()
        self._log = tempfile.TemporaryFile()
        self._command = [program, f"--kubeconfig={kubeconfig}", f"--metrics-port={self._port}", f"--report-port={free_port()}",
                         "--report-address=127.0.0.1", "--builder-image=registry.example/imagebuild-builder:1",
                         "--stage-image=registry.example/imagebuild-stage:1", "--leader-elect", f"--lease-namespace={NAMESPACE}",
                         "--identity=bench"]

    def __enter__(self):
        self.started = time.monotonic()
        self._process = subprocess.Popen([str(word) for word in self._command], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, preexec_fn=processes.die_with_parent)
        return self

    def __exit__(self, *_):
        processes.stop(self._process)

    def wait_synced(self) -> float:
        """Seconds since its start."""
        while time.monotonic() < self.started + 120:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=5).status == 200:
                    return time.monotonic() - self.started
            if self._process.poll() is not None:
                break
            time.sleep(0.003)
        self._log.seek(0)
        sys.exit(f"the operator does not get ready:\n{self._log.read().decode()[-3000:]}")

    def wait_idle(self) -> None:
        """Until it leads and nothing is left in its queue."""
        while True:
            metrics = self.metrics()
            if metrics['leader_election_master_status{name="imagebuild-operator"}'] == 1 and not metrics['workqueue_depth{name="imagebuild"}']:
                return
            time.sleep(0.02)

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in lines}

    def memory_mib(self, field: str) -> float:
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) / 1024

    def cpu_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class FirstPods:
    """When the first pod of each build was seen by a watch."""

    def __init__(self, server: ApiServer):
        self._client = server.client()
        self.seen: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        version = self._client.call("GET", PODS + "?limit=1")["metadata"]["resourceVersion"]
        self._stream = self._client.stream(f"{PODS}?watch=true&resourceVersion={version}", _WATCHED)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._client.close()
        self._thread.join()

    def _watch(self) -> None:
        for moment, line in self._stream:
            event = json.loads(line)
            if event["type"] != "ADDED":
                continue
            name = event["object"]["metadata"]["ownerReferences"][0]["name"]
            with self._changed:
                self.seen.setdefault(name, moment)
                self._changed.notify_all()

    def wait(self, name: str, seconds: float = 60) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: name in self.seen, seconds):
                sys.exit(f"the build {name} had no pod within {seconds:g} s")
            return self.seen[name]

    def wait_all(self, names: list[str], seconds: float) -> float:
        """The moment of the last."""
        with self._changed:
            if not self._changed.wait_for(lambda: all(name in self.seen for name in names), seconds):
                missing = [name for name in names if name not in self.seen]
                sys.exit(f"{len(missing)} of {len(names)} builds had no pod within {seconds:g} s")
            return max(self.seen[name] for name in names)


class Bench:
    def __init__(self, server: ApiServer, programs: pathlib.Path):
        self._server, self._programs = server, programs
        self._numbers = 0

    def operator(self) -> Operator:
        return Operator(self._programs / "imagebuild-operator", self._server.kubeconfig)

    def fresh_name(self) -> str:
        self._numbers += 1
        return f"app-{self._numbers:05}"

    def counted(self) -> list:
        """The operator's requests since the last call, without watches and its Lease."""
        return [one for one in self._server.requests() if one.verb != "watch" and one.resource != "leases"]

    def whole_build(self) -> tuple[bytes, dict[str, int]]:
        """An ImageBuild that ended, as etcd has it, and the requests it took by verb and resource."""
        with self.operator() as operator:
            operator.wait_synced()
            operator.wait_idle()
            self.counted()
            name = self.fresh_name()
            self._server.client().call("POST", BUILDS, image_build(name))
            Cluster(self._server.client(), self._programs / "imagebuild").finish(name)
            time.sleep(0.5)
            return self._server.stored(name), dict(collections.Counter(one.what for one in self.counted()))

    def latencies(self) -> dict:
        """One build after another: from the API server's answer to its creation, and from asking for that, until a watch
        shows its pod."""
        waits, asked, first_pods, client = [], [], [], self._server.client()
        with self.operator() as operator, FirstPods(self._server) as pods:
            operator.wait_synced()
            operator.wait_idle()
            time.sleep(1)  # what a start brings in the server
            self.counted()
            for _ in range(_ONE_AFTER_ANOTHER):
                name = self.fresh_name()
                begun = time.monotonic()
                client.call("POST", BUILDS, image_build(name))
                created = time.monotonic()
                seen = pods.wait(name)
                waits.append((seen - created) * 1000)
                asked.append((seen - begun) * 1000)
                time.sleep(0.02)
            time.sleep(1.5)  # a status may be written a second later
            log = sorted(self.counted(), key=lambda one: one.received)
        for name in pods.seen:
            own = [one for one in log if one.name.startswith(name)]
            pod = next(index for index, one in enumerate(own) if one.what == "create pods")
            first_pods.append(own[:pod + 1])
        # What is looked up now and then for all builds together.
        shared = [one for one in log if not any(one.name.startswith(name) for name in pods.seen)]
        first_pods[0] += shared
        counts = collections.Counter(one.what for own in first_pods for one in own)
        return {"milliseconds": waits, "since asked": asked,
                "requests": statistics.median(map(len, first_pods)), "most requests": max(map(len, first_pods)),
                "by kind": {what: round(number / _ONE_AFTER_ANOTHER, 2) for what, number in counts.items()},
                "conflicts": sum(one.code == 409 for one in log)}

    def at_once(self, count: int) -> dict:
        """From the first creation until a watch has shown a pod of each."""
        names = [self.fresh_name() for _ in range(count)]
        with self.operator() as operator, FirstPods(self._server) as pods:
            operator.wait_synced()
            operator.wait_idle()
            time.sleep(1)
            self.counted()
            before = operator.cpu_seconds()
            begun = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(_CREATORS) as creators:
                list(creators.map(self._create_all, [names[first::_CREATORS] for first in range(_CREATORS)]))
            created = time.monotonic() - begun
            last = pods.wait_all(names, 300) - begun
            time.sleep(1.5)
            requests = self.counted()
            return {"seconds": last, "created": created, "requests": len(requests) / count,
                    "conflicts": sum(one.code == 409 for one in requests), "cpu": operator.cpu_seconds() - before,
                    "memory": operator.memory_mib("VmRSS")}

    def _create_all(self, names: list[str]) -> None:
        client = self._server.client()
        for name in names:
            client.call("POST", BUILDS, image_build(name))

    def list_alone(self) -> float:
        """Seconds that the API server takes for what the operator reads first, asked for by nobody else."""
        begun, client = time.monotonic(), self._server.client()
        for _ in client.stream(f"{BUILDS}?resourceVersion=0"):
            pass
        client.close()
        return time.monotonic() - begun

    def start_with(self, finished: int) -> dict:
        """A start with so many finished builds there, and one that is created the moment the operator is ready."""
        self.counted()
        with self.operator() as operator, FirstPods(self._server) as pods:
            synced = operator.wait_synced()
            name = self.fresh_name()
            begun = time.monotonic()
            self._server.client().call("POST", BUILDS, image_build(name))
            first = pods.wait(name, 120) - begun
            operator.wait_idle()
            time.sleep(2)
            requests, before = len(self.counted()), operator.cpu_seconds()
            time.sleep(_REST_SECONDS)
            rest = (operator.cpu_seconds() - before) / _REST_SECONDS * 100
            measured = {"synced": synced, "first pod": first, "memory": operator.memory_mib("VmRSS"), "peak": operator.memory_mib("VmHWM"),
                        "cpu at rest": rest, "requests": requests, "cpu of the start": before}
        return measured | {"list alone": self.list_alone()}


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def median(rounds: list[dict], of: str) -> float:
    return statistics.median(one[of] for one in rounds)


class Table:
    """Rows with an aim; prints itself."""

    def __init__(self):
        self.rows: list[dict] = []

    def add(self, what: str, value: float, unit: str, aim: float | None = None, quoted: str = "") -> None:
        self.rows.append({"what": what, "value": round(value, 2), "unit": unit, "aim": aim, "met": None if aim is None else value <= aim,
                          "quoted": _QUOTED.get(quoted, "")})

    def __str__(self) -> str:
        lines = [f"{'':58} {'measured':>12} {'aim':>10}  peers as quoted in the issue, not measured here"]
        for row in self.rows:
            aim = "" if row["aim"] is None else f"≤ {row['aim']:g}"
            missed = "  MISSED" if row["met"] is False else ""
            lines.append(f"{row['what']:58} {row['value']:8g} {row['unit']:3} {aim:>10}{missed}  {row['quoted']}".rstrip())
        return "\n".join(lines)


def say(what: str, value) -> None:
    print(f"{what}: {value}", flush=True)


def at_once(bench: Bench, server, counts: tuple, rounds: int) -> dict:
    results = {}
    for count in counts:
        results[count] = []
        for _ in range(rounds):
            server.clear()
            results[count].append(bench.at_once(count))
        say(f"{count} at once, {server.name} API server, seconds", [round(one["seconds"], 2) for one in results[count]])
    return results


def starts(bench: Bench, server, finished_build: bytes, counts: tuple, rounds: int, after_each=lambda count: None) -> dict:
    results = {}
    for count in counts:
        results[count] = []
        for _ in range(rounds):
            server.clear()
            server.put_copies(finished_build, count)
            results[count].append(bench.start_with(count))
            after_each(count)
        shown = [{name: round(value, 2) for name, value in one.items()} for one in results[count]]
        say(f"start with {count} finished, {server.name} API server", shown)
    return results


def measure(programs: pathlib.Path, rounds: int, small: bool) -> tuple[dict, "Table"]:
    results: dict = {}
    with ApiServer() as server:
        bench = Bench(server, programs)
        finished_build, results["requests of a whole build"] = bench.whole_build()
        results["at once"] = at_once(bench, server, (5, 10, 20) if small else _AT_ONCE, rounds)
        latency = collections.defaultdict(list)
        for _ in range(rounds):
            server.clear()
            latency[0].append(bench.latencies())
        sizes = (100, 200, 300) if small else _FINISHED
        results["finished"] = starts(bench, server, finished_build, sizes, rounds, lambda count: latency[count].append(bench.latencies()))
        results["latency"] = dict(latency)
        for count, each in latency.items():
            medians = [round(statistics.median(one["milliseconds"]), 1) for one in each]
            say(f"to the first pod beside {count} finished, p50 of each round in ms", medians)
    program = programs / "serve_fake_api"
    if program.exists():
        with FakeApiServer(program) as server:
            bench = Bench(server, programs)
            results["fake at once"] = at_once(bench, server, (20, 50) if small else _FAKE_AT_ONCE, rounds)
            results["fake finished"] = starts(bench, server, finished_build, (300, 600) if small else _FAKE_FINISHED, rounds)
    else:
        print(f"without the fake API server: there is no {program}")
    return results, tabled(results)


def tabled(results: dict) -> Table:
    table = Table()
    most = max(results["latency"])
    for count, rounds in results["latency"].items():
        waits = [wait for one in rounds for wait in one["milliseconds"]]
        beside = f" beside {count} finished" if count else ""
        table.add(f"create to first pod{beside}, p50", percentile(waits, 0.5), "ms", 10, "" if count else "p50")
        table.add(f"create to first pod{beside}, p99", percentile(waits, 0.99), "ms", 50)
        table.add("  with the creation itself, p50", percentile([wait for one in rounds for wait in one["since asked"]], 0.5), "ms")
    for count, rounds in results["at once"].items():
        largest = count == max(results["at once"])
        table.add(f"{count} at once, until each has its first pod", median(rounds, "seconds"), "s", 6 * count / 500, "at once" if largest else "")
        table.add(f"  of that, creating them", median(rounds, "created"), "s")
    rounds = results["latency"][0]
    table.add("requests up to the first pod", median(rounds, "requests"), "", 5, "requests")
    table.add("  of them conflicts, in all builds", sum(one["conflicts"] for case in ("latency", "at once") for each in results[case].values()
                                                         for one in each), "", 0, "conflicts")
    for count, rounds in results["finished"].items():
        aim = count == most
        table.add(f"{count} finished: synced after", median(rounds, "synced"), "s", 2)
        table.add("  the API server's answer alone", median(rounds, "list alone"), "s")
        table.add(f"  a build created then has its first pod after", median(rounds, "first pod"), "s", 1, "first" if aim else "")
        table.add(f"  memory (RSS)", median(rounds, "memory"), "MiB", 96, "memory" if aim else "")
        table.add(f"  memory, at most", median(rounds, "peak"), "MiB")
        table.add(f"  CPU at rest", median(rounds, "cpu at rest"), "%")
    for count, rounds in results.get("fake at once", {}).items():
        table.add(f"fake API server: {count} at once", median(rounds, "seconds"), "s")
        table.add("  CPU of the operator", median(rounds, "cpu"), "s")
    for count, rounds in results.get("fake finished", {}).items():
        table.add(f"fake API server: {count} finished: synced after", median(rounds, "synced"), "s")
        table.add("  memory (RSS)", median(rounds, "memory"), "MiB")
    whole = results["requests of a whole build"]
    table.add("requests of a whole build (two stages)", sum(whole.values()), "")
    for what, number in sorted(whole.items(), key=lambda entry: -entry[1]):
        table.add(f"  {what}", number, "")
    return table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--small", action="store_true", help="small sizes, to see that everything works")
    arguments.add_argument("--results", type=pathlib.Path)
    arguments = arguments.parse_args()
    results, table = measure(programs(), arguments.rounds, arguments.small)
    print(f"\nmedian of {arguments.rounds} rounds\n{table}")
    write_results("operator", arguments.results, arguments.rounds, table, {"results": results})


if __name__ == "__main__":
    main()
