"""The Dockerfiles that users write: each image runs, and holds its base and what was copied, nothing more."""

import pathlib
import unittest

from harness.case import EXAMPLES, EndToEndTest


class ExamplesTest(EndToEndTest):
    def assert_adds(self, image, base, expected, *, below=()):
        """On top of its base the image has the paths `expected` and whatever lies in the folders `below`."""
        added = self.added(image, base)
        extra = {path for path in added if not path.startswith(tuple(f"{folder}/" for folder in below))}
        self.assertEqual(extra, set(expected))
        for folder in below:
            self.assertTrue(any(path.startswith(f"{folder}/") for path in added), f"nothing below {folder}")

    def test_go(self):
        image = self.build(EXAMPLES / "go", "--build-arg", "VERSION=1.2.3")
        self.assert_prints(image, "wordfreq 1.2.3\n2 be\n2 to\n1 not\n1 or\n", "/bin/wordfreq", "to be", "or not to be")
        self.assert_adds(image, "", {"passed", "bin/wordfreq"})
        self.assertEqual(image.config["config"]["User"], "65534:65534")
        self.assertEqual(image.config["config"]["Labels"]["org.opencontainers.image.title"], "wordfreq")

    def test_node(self):
        image = self.build(EXAMPLES / "node")
        self.assert_prints(image, "Hello from Node, world\n")
        self.assert_prints(image, "Hello from Node, you\n", environment=("WHO=you",))
        self.assert_adds(image, "node:18-slim", {
            "app/dist/main.js", "app/node_modules/.bin", "app/node_modules/.package-lock.json",
            "app/node_modules/greeting/index.js", "app/node_modules/greeting/package.json"})

    def test_python(self):
        image = self.build(EXAMPLES / "python")
        self.assert_prints(image, "6 words\n", "wordcount", "to be or", "not to be")
        self.assert_adds(image, "python:3.11-slim", (), below=("opt/venv",))
        paths = self.added(image, "python:3.11-slim")
        self.assertIn("opt/venv/bin/wordcount", paths)
        self.assertEqual([path for path in paths if pathlib.PurePath(path).suffix in (".whl", ".toml")], [])

    def test_c_static(self):
        image = self.build(EXAMPLES / "c-static")
        self.assert_prints(image, "1 d 2 h 3 min\n")
        self.assert_prints(image, "65534\n", "id", "-u")
        self.assert_adds(image, "busybox:1.35", {"usr/bin/uptime-of", "var/lib/uptime"})
        added = self.added(image, "busybox:1.35")
        program = added["usr/bin/uptime-of"]
        self.assertEqual((program.mode & 0o7777, program.uid, program.gid), (0o555, 65534, 65534))
        self.assertEqual((added["var/lib/uptime"].uid, added["var/lib/uptime"].gid), (65534, 65534))
        self.assertEqual(image.config["config"]["Volumes"], {"/var/lib/uptime": {}})

    def test_nginx(self):
        image = self.build(EXAMPLES / "nginx")
        added = self.added(image, "nginx:1.22")
        styles = [path for path in added if path.startswith("usr/share/nginx/html/style-")]
        self.assertEqual(len(styles), 1, sorted(added))
        self.assert_adds(image, "nginx:1.22", {"usr/share/nginx/html/index.html", *styles})
        page = image.run("bash", "-ec", "nginx; exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")
        self.assertIn("200 OK", page.stdout, page.stderr)
        self.assertIn(pathlib.PurePath(styles[0]).name, page.stdout)
        self.assertEqual(image.config["config"]["Cmd"], ["nginx", "-g", "daemon off;"])
        self.assertEqual(image.config["config"]["StopSignal"], "SIGQUIT")

    def test_ml(self):
        image = self.build(EXAMPLES / "ml", "--build-arg", "ROWS=20000")
        self.assert_prints(image, "about 360 thousand\n", "python", "/app/predict.py", "90", "4")
        self.assert_adds(image, "python:3.11-slim", {"app/model.json", "app/predict.py"})


if __name__ == "__main__":
    unittest.main()
