"""What makes a step run again, and what does not: one change a row, and the image is always that of a build without a cache."""

import os
import pathlib
import shutil
import unittest

from harness import processes
from harness.case import EndToEndTest, only_imagebuild

DOCKERFILE = """\
ARG BASE
FROM $BASE AS words
ARG LEVEL=1
COPY words/ /in/
RUN cat /in/*.txt | sort > /sorted
RUN uniq /sorted > /words.out; echo "$LEVEL" > /level
ARG LATE=1

FROM busybox:1.35 AS check
RUN --mount=type=bind,source=mounted,target=/m cat /m/* > /checked
RUN --mount=type=secret,id=token grep -c . /run/secrets/token > /lines
RUN true

FROM busybox:1.35
LABEL about="a test"
ENV COLOUR=red
WORKDIR /app
COPY --from=words /words.out ./
COPY --from=check /checked /lines ./
COPY app/ ./app/
COPY <<TEXT /etc/motd
hello
TEXT
RUN echo "$COLOUR" > /colour
ENV AFTER=1
CMD ["true"]

FROM scratch AS data
COPY app/ /
"""

FILES = {
    "words/a.txt": "one\ntwo\n",
    "words/b.txt": "three\n",
    "mounted/x": "mounted\n",
    "app/run.sh": "#!/bin/sh\n",
    "app/extra": "extra\n",
    "notes/unused": "nobody copies this\n",
    ".dockerignore": "ignored\n",
    "ignored": "ignored\n",
}
EPOCH = 1_600_000_000
# What of a running stage stands in the table; the rest changes no files.
STEPS = ("RUN", "COPY", "WORKDIR")


class Source:
    """The context and the flags of one build; a row changes them."""

    def __init__(self, folder: pathlib.Path, base: str):
        self.folder = folder
        self.flags = ["--build-arg", f"BASE={base}", "--secret", "id=token,env=TOKEN", "--target", "2"]
        self.environment = {"TOKEN": "hush", "SOURCE_DATE_EPOCH": str(EPOCH)}
        for path, text in (FILES | {"Dockerfile": DOCKERFILE}).items():
            self.write(path, text)
        os.symlink("run.sh", folder / "app/link")

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def replace(self, old: str, new: str, path: str = "Dockerfile") -> None:
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
        self.write(path, text.replace(old, new))

    def rename(self, old: str, new: str) -> None:
        (self.folder / old).rename(self.folder / new)

    def link(self, path: str, target: str) -> None:
        (self.folder / path).unlink()
        os.symlink(target, self.folder / path)

    def rewrite(self, path: str, text: str) -> None:
        """Another content of the same size in the same file, which gets its times back."""
        before = (self.folder / path).stat()
        assert before.st_size == len(text)
        self.write(path, text)
        os.utime(self.folder / path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def put_in_place(self, path: str, put) -> None:
        """Another file of the same size and time takes the name."""
        before = (self.folder / path).stat()
        (self.folder / "beside").write_text("moved\n")
        os.utime(self.folder / "beside", ns=(before.st_atime_ns, before.st_mtime_ns))
        (self.folder / path).unlink()
        put(self.folder / "beside", self.folder / path)
        if (self.folder / "beside").exists():
            (self.folder / "beside").unlink()

    def touch(self) -> None:
        for path in self.folder.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)

    def flag(self, *words: str) -> None:
        self.flags += words


FROM_WORDS, FROM_CHECK, APP, MOTD, COLOUR = "COPY --from=words", "COPY --from=check", "COPY app/", "COPY <<TEXT", "RUN echo"
IMAGE, WORDS, CHECK = "2", "words", "check"
ALL_WORDS, ALL_CHECK, ALL_IMAGE = {WORDS: "COPY words/"}, {CHECK: "RUN --mount=type=bind"}, {IMAGE: "WORKDIR"}
EVERYTHING = ALL_WORDS | ALL_CHECK | ALL_IMAGE

# What is changed, how, and with which step each stage has to begin; a stage that is not named has to run nothing.
FILE_ROWS = [
    ("nothing", lambda it: None, {}),
    ("a file's time", Source.touch, {}),
    ("a copied file's content", lambda it: it.write("app/extra", "other\n"), {IMAGE: APP}),
    ("a copied file's content, not its size and time", lambda it: it.rewrite("app/extra", "Extra\n"), {IMAGE: APP}),
    ("a copied file, by a rename", lambda it: it.put_in_place("app/extra", os.rename), {IMAGE: APP}),
    ("a copied file, by a hard link", lambda it: it.put_in_place("app/run.sh", os.link), {IMAGE: APP}),
    ("a copied file's mode", lambda it: os.chmod(it.folder / "app/run.sh", 0o755), {IMAGE: APP}),
    ("a copied folder's mode", lambda it: (os.mkdir(it.folder / "app/sub"), os.chmod(it.folder / "app/sub", 0o700)), {IMAGE: APP}),
    ("a copied file's name", lambda it: it.rename("app/extra", "app/more"), {IMAGE: APP}),
    ("a copied link's target", lambda it: it.link("app/link", "extra"), {IMAGE: APP}),
    ("a file that is copied anew", lambda it: it.write("app/new", ""), {IMAGE: APP}),
    ("a file that is gone", lambda it: (it.folder / "app/extra").unlink(), {IMAGE: APP}),
    ("a file that nobody copies", lambda it: it.write("notes/unused", "changed"), {}),
    ("an ignored file", lambda it: it.write("ignored", "changed"), {}),
    ("the ignore file, for a file that nobody copies", lambda it: it.write(".dockerignore", "ignored\nnotes\n"), {}),
    ("the ignore file, for a copied file", lambda it: it.write(".dockerignore", "ignored\napp/run.sh\n"), {IMAGE: APP}),
    ("a mounted file", lambda it: it.write("mounted/x", "other\n"), ALL_CHECK | {IMAGE: FROM_CHECK}),
    ("the mode of a mounted folder", lambda it: os.chmod(it.folder / "mounted", 0o700), ALL_CHECK),
    ("a stage's input, not its output", lambda it: it.write("words/c.txt", "two\n"), ALL_WORDS),
    ("a name in a stage, not its output", lambda it: it.rename("words/a.txt", "words/z.txt"), ALL_WORDS),
    ("a stage's output", lambda it: it.write("words/c.txt", "four\n"), ALL_WORDS | {IMAGE: FROM_WORDS}),
]

INSTRUCTION_ROWS = [
    ("a comment", lambda it: it.replace("ARG LEVEL", "# a comment\n\nARG LEVEL"), {}),
    ("white space", lambda it: it.replace("COPY app/ ./app/", "COPY   app/ \\\n  ./app/"), {}),
    ("a stage's name", lambda it: it.write("Dockerfile", DOCKERFILE.replace("words\n", "texts\n", 1).replace("--from=words", "--from=texts")), {}),
    ("a label", lambda it: it.replace("a test", "another test"), {}),
    ("a label more, before all steps", lambda it: it.replace("LABEL", "LABEL one=1\nLABEL two=2\nLABEL"), {}),
    ("a label less, before all steps", lambda it: it.replace('LABEL about="a test"\n', ""), {}),
    ("a label more and a file", lambda it: (it.replace("LABEL", "LABEL one=1\nLABEL"), it.write("app/extra", "2")), {IMAGE: APP}),
    ("a label less and a file", lambda it: (it.replace('LABEL about="a test"\n', ""), it.write("app/extra", "3")), {IMAGE: APP}),
    ("the command of the image", lambda it: it.replace('CMD ["true"]', 'CMD ["false"]'), {}),
    ("the user of the image", lambda it: it.replace("CMD", "USER 1000\nCMD"), {}),
    ("the user of a command", lambda it: it.replace("RUN echo", "USER 0\nRUN echo"), {IMAGE: COLOUR}),
    ("the folder of the steps", lambda it: it.replace("WORKDIR /app", "WORKDIR /srv"), ALL_IMAGE),
    ("the folder of the image", lambda it: it.replace("ENV AFTER=1", "ENV AFTER=1\nWORKDIR /app"), {IMAGE: "WORKDIR /app"}),
    ("a variable before a command", lambda it: it.replace("COLOUR=red", "COLOUR=blue"), {IMAGE: COLOUR}),
    ("a variable after all commands", lambda it: it.replace("AFTER=1", "AFTER=2"), {}),
    ("a command", lambda it: it.replace('RUN echo "$COLOUR"', 'RUN echo "$COLOUR!"'), {IMAGE: COLOUR}),
    ("a here-document", lambda it: it.replace("hello", "good day"), {IMAGE: MOTD}),
    ("who owns a copy", lambda it: it.replace("COPY app/ ./app/", "COPY --chown=1:2 app/ ./app/"), {IMAGE: "COPY --chown"}),
    ("a step that is gone", lambda it: it.replace("COPY <<TEXT /etc/motd\nhello\nTEXT\n", ""), {IMAGE: COLOUR}),
    ("two steps' order", lambda it: it.write("Dockerfile", _swapped(DOCKERFILE)), {IMAGE: MOTD}),
]

SETTING_ROWS = [
    ("an argument of a command", lambda it: it.flag("--build-arg", "LEVEL=2"), {WORDS: "RUN cat"}),
    ("an argument after all commands", lambda it: it.flag("--build-arg", "LATE=2"), {}),
    ("a secret's value", lambda it: it.environment.update(TOKEN="another"), {}),
    ("a host's address", lambda it: it.flag("--add-host", "db:10.0.0.1"), {WORDS: "RUN cat"} | ALL_CHECK | {IMAGE: COLOUR}),
    ("a limit", lambda it: it.flag("--ulimit", "nofile=512"), {WORDS: "RUN cat"} | ALL_CHECK | {IMAGE: COLOUR}),
    ("shared memory", lambda it: it.flag("--shm-size", "1m"), {WORDS: "RUN cat"} | ALL_CHECK | {IMAGE: COLOUR}),
    ("the epoch", lambda it: it.environment.update(SOURCE_DATE_EPOCH=str(EPOCH - 1)), EVERYTHING),
    ("that an epoch is given", lambda it: it.environment.pop("SOURCE_DATE_EPOCH"), EVERYTHING),
    ("the target", lambda it: it.flag("--target", "words"), ALL_WORDS),
]


def _swapped(text: str) -> str:
    motd = "COPY <<TEXT /etc/motd\nhello\nTEXT\n"
    return text.replace(motd, "").replace("COPY app/ ./app/\n", motd + "COPY app/ ./app/\n")


def begun(events: list[dict]) -> dict[str, str]:
    """The step with which each stage began that ran any; all of its later steps ran too."""
    first: dict[str, str] = {}
    texts = {(event["stage"], event["step"]): event["text"] for event in events if event["event"] == "stepStarted"}
    for event in events:
        if event["event"] != "stepDone":
            continue
        text = texts[event["stage"], event["step"]]
        if not text.startswith(STEPS):
            continue
        assert not (event["cached"] and event["stage"] in first), f"{text} comes from a cache after a step that ran"
        if not event["cached"]:
            first.setdefault(event["stage"], text)
    return first


@only_imagebuild
class CacheInvalidationTest(EndToEndTest):
    def setUp(self):
        super().setUp()
        self.base = f"{self.registry.host}/base:1"
        self.put_base("busybox:1.35", self.base)
        self.cold = self.make_builder("cold")
        self._next = 0

    def put_base(self, name: str, reference: str) -> None:
        processes.run("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false",
                      f"docker://{self.mirror.host}/library/{name}", f"docker://{reference}")

    def source(self) -> Source:
        self._next += 1
        folder = self.folder / f"contexts/{self._next}"
        folder.mkdir(parents=True)
        return Source(folder, self.base)

    def events(self, source: Source, *flags: str, builder=None) -> list[dict]:
        # The flags that come last count, and one context's place is not another's.
        kept = self.folder / "context"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(source.folder, kept, symlinks=True)
        return (builder or self.builder).events(kept, *_last_target(source.flags), *flags, environment=source.environment)

    def digest(self, events: list[dict]) -> str:
        return next(event["digest"] for event in events if event["event"] == "built")

    def check(self, name: str, change, expected: dict[str, str]) -> None:
        with self.subTest(name):
            source = self.source()
            change(source)
            events = self.events(source)
            found = begun(events)
            self.assertEqual(set(found), set(expected), found)
            for stage, text in expected.items():
                self.assertTrue(found[stage].startswith(text), f"stage {stage} began with {found[stage]!r}, not {text!r}")
            self.assertEqual(self.digest(events), self.digest(self.events(source, "--no-cache", builder=self.cold)), "as without a cache")
            self.assertEqual(begun(self.events(source)), {}, "the second time")

    def check_all(self, rows) -> None:
        self.assertEqual(set(begun(self.events(self.source()))), set(EVERYTHING), "the first build")
        for row in rows:
            self.check(*row)

    def test_files(self):
        self.check_all(FILE_ROWS)

    def test_instructions(self):
        self.check_all(INSTRUCTION_ROWS)

    def test_settings(self):
        self.check_all(SETTING_ROWS)

    def test_bases_and_platforms(self):
        self.check_all([])
        self.put_base("busybox:1.35", f"{self.registry.host}/base:2")
        self.check("the base's name", lambda it: it.flag("--build-arg", f"BASE={self.registry.host}/base:2"), {})
        self.put_base("debian:12", self.base)
        self.check("the base's content", lambda it: None, ALL_WORDS)
        data = lambda it, platform: it.flag("--target", "data", "--platform", platform)
        self.check("a stage of its own", lambda it: data(it, "linux/amd64"), {"data": "COPY app/"})
        self.check("its platform", lambda it: data(it, "linux/arm64"), {"data": "COPY app/"})
        self.check("its platform's variant", lambda it: data(it, "linux/arm/v7"), {"data": "COPY app/"})

    def test_it_says_what_changed(self):
        self.events(self.source())
        for change, stage, said in ((lambda it: it.write("app/extra", "2"), IMAGE, "app/extra changed"),
                                    (lambda it: it.flag("--build-arg", "LEVEL=2"), WORDS, "the variable LEVEL changed"),
                                    (lambda it: it.replace("hello", "hi"), IMAGE, "the instruction changed")):
            source = self.source()
            change(source)
            started = {event["stage"]: event.get("changed", "") for event in self.events(source) if event["event"] == "stageStarted"}
            self.assertIn(said, started[stage])
            # Back to where it was: a build that is cached says nothing, and the next one compares with the one before.
            self.events(self.source(), "--no-cache")

    def test_what_came_before_a_failure_is_not_done_again(self):
        context = self.context({"Dockerfile": "FROM busybox:1.35\nRUN cat /proc/sys/kernel/random/uuid > /once\nCOPY fails /\nRUN /fails\n", "fails": "#!/bin/sh\nexit 9\n"})
        (context / "fails").chmod(0o755)
        self.assert_fails(self.builder.build(context), 1, "exit")
        (context / "fails").write_text("#!/bin/sh\nexit 0\n")
        self.assertEqual(set(begun(self.builder.events(context)).values()), {"COPY fails /"})


def _last_target(flags: list[str]) -> list[str]:
    """The flags with the last of several targets and of several values of one argument."""
    pairs = [tuple(flags[at:at + 2]) for at in range(0, len(flags), 2)]
    last = {}
    for flag, value in pairs:
        name = value.split("=")[0] if flag == "--build-arg" else ""
        last[flag, name] = (flag, value)
    return [word for pair in last.values() for word in pair]


if __name__ == "__main__":
    unittest.main()
