"""Debian's Prometheus on a free loopback port of this machine, from where it reaches pods and services by their addresses."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import processes

PROMTOOL = "promtool"


def scrape(job: str, *targets: str, **config) -> dict:
    """A scrape configuration for host:port targets; further words are its own fields (metrics_path, scheme, …)."""
    return {"job_name": job, "static_configs": [{"targets": list(targets)}], **config}


class Prometheus:
    """Runs from construction until close().

    `rules` are the texts of rule files (YAML or JSON with `groups`). Scrapes and rules run every `interval`.
    """

    def __init__(self, scrape_configs: list[dict], rules: tuple[str, ...] = (), interval: str = "500ms"):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="imagebuild-prometheus-"))
        names = [self._write(f"rules-{index}.yml", text) for index, text in enumerate(rules)]
        config = {"global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
                  "rule_files": names, "scrape_configs": scrape_configs}
        self._write("prometheus.yml", json.dumps(config))
        self._log_path = self._folder / "log"
        with open(self._log_path, "w") as log:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={self._folder}/prometheus.yml", f"--storage.tsdb.path={self._folder}/data",
                 "--web.listen-address=127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=processes.die_with_parent)
        try:
            self.url = self._wait_until_ready()
        except AssertionError:
            self.close()
            raise

    def _write(self, name: str, text: str) -> str:
        (self._folder / name).write_text(text)
        return name

    def _wait_until_ready(self) -> str:
        """Its log says which port it got, and later that it has read its configuration."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            log = self._log_path.read_text()
            if (found := re.search(r'"Listening on" address=(\S+)', log)) and "Server is ready" in log:
                return f"http://{found[1]}"
            time.sleep(0.05)
        raise AssertionError(f"prometheus did not start:\n{self._log_path.read_text()}")

    def get(self, path: str, **parameters):
        """The `data` of an answer of its HTTP API, /api/v1/PATH."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"prometheus refuses {path} {parameters}: {error.read().decode(errors='replace')}") from None

    def query(self, expression: str) -> list[dict]:
        """The instant vector: [{"metric": labels, "value": [time, text]}, …]. A mistake in the expression is a failure."""
        return self.get("query", query=expression)["result"]

    def value(self, expression: str) -> float | None:
        """The value of an expression that gives one series; None if it gives none."""
        result = self.query(expression)
        if len(result) > 1:
            raise AssertionError(f"{expression} gives {len(result)} series, not one: {result}")
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, expression: str, seconds: float = 20) -> list[dict]:
        """Polls until the expression (a comparison, as a rule) gives something, and returns that."""
        deadline = time.monotonic() + seconds
        while not (result := self.query(expression)):
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds:g} s still nothing from {expression}; targets: {self.targets()}")
            time.sleep(0.2)
        return result

    def targets(self) -> dict[str, str]:
        """Address of what is scraped → "up", "down: why" or "unknown: "."""
        active = self.get("targets", state="active")["activeTargets"]
        return {target["scrapeUrl"]: f"{target['health']}: {target['lastError']}".removesuffix(": ") for target in active}

    def rules(self) -> list[dict]:
        """Every alert and recording rule, with its `state`, `health` and `lastError`."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def close(self) -> None:
        processes.stop(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def check_rules(text: str) -> str:
    """What promtool says of the text of a rule file; a mistake in it is a failure."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(text)
        file.flush()
        return processes.run(PROMTOOL, "check", "rules", file.name).stdout
