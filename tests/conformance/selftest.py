"""The conformance suite finds what it is there to find: on trees and configs made by hand, nothing is built."""

import fnmatch
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import case_file
from comparing import compare
from differences import Row, idle, read, unexplained
from rendering import render
from tree import Layout
from verdict import GOLDENS

_REGULAR, _FOLDER, _LINK, _SYMLINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE


class SelfTest(unittest.TestCase):
    def layout(self, *layers: list[tuple]) -> Layout:
        """An image whose layers have entries of (path, type, content or target, changes)."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "blobs/sha256").mkdir(parents=True)
        descriptors, diff_ids = [], []
        for entries in layers:
            plain = io.BytesIO()
            with tarfile.open(fileobj=plain, mode="w") as tar:
                for path, kind, text, *changes in entries:
                    entry = tarfile.TarInfo(path)
                    entry.type, entry.mode = kind, 0o755 if kind == _FOLDER else 0o644
                    if kind in (_LINK, _SYMLINK):
                        entry.linkname = text
                    entry.size = len(text) if kind == _REGULAR else 0
                    for name, value in (changes[0] if changes else {}).items():
                        setattr(entry, name, value)
                    tar.addfile(entry, io.BytesIO(text.encode()))
            descriptors.append({"digest": self.blob(folder, gzip.compress(plain.getvalue()))})
            diff_ids.append("sha256:" + hashlib.sha256(plain.getvalue()).hexdigest())
        config = self.blob(folder, json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode())
        manifest = self.blob(folder, json.dumps({"config": {"digest": config}, "layers": descriptors}).encode())
        (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": manifest}]}))
        return Layout(folder)

    def blob(self, folder: pathlib.Path, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        (folder / "blobs/sha256" / digest).write_bytes(data)
        return f"sha256:{digest}"

    def test_layers_are_laid_over_one_another(self):
        below = [("d", _FOLDER, ""), ("d/a", _REGULAR, "1"), ("d/b", _REGULAR, "2"), ("o", _FOLDER, ""), ("o/x", _REGULAR, "3"), ("f", _FOLDER, ""), ("f/y", _REGULAR, "")]
        above = [("o", _FOLDER, ""), ("o/new", _REGULAR, "4"), ("o/.wh..wh..opq", _REGULAR, ""), ("d/.wh.a", _REGULAR, ""), ("f", _REGULAR, "file")]
        self.assertEqual(sorted(self.layout(below, above).tree()), ["d", "d/b", "f", "o", "o/new"])

    def test_a_file_below_what_is_no_folder_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "nothing says"):
            self.layout([("d/a", _REGULAR, "1")]).tree()

    def test_hard_links_end_where_one_name_gets_new_content(self):
        linked = [("a", _REGULAR, "1"), ("b", _LINK, "a"), ("c", _LINK, "a")]
        text = render(self.layout(linked, [("c", _REGULAR, "2")]).tree(), {}, "", {}, 0)
        self.assertEqual(text, '/a file 0644 0:0 0 "1" links=/a,/b\n/b file 0644 0:0 0 "1" links=/a,/b\n/c file 0644 0:0 0 "2"\n')

    def test_flaws_of_images_are_found(self):
        flawed = self.layout([("a", _REGULAR, "1"), ("a", _REGULAR, "2")])
        self.assertEqual([flaw.partition(" sha256")[0] for flaw in flawed.flaws()], ["the history speaks of 0 layers, there are 1", "layer"])

    def test_every_member_of_a_file_is_compared(self):
        one = self.layout([("a", _REGULAR, "1")]).tree()
        changes = {"mode": {"mode": 0o600}, "owner": {"gid": 5}, "mtime": {"mtime": 7},
                   "xattrs": {"pax_headers": {"SCHILY.xattr.user.a": "b"}}}
        for member, change in changes.items():
            other = self.layout([("a", _REGULAR, "1", change)]).tree()
            self.assertEqual([difference.key for difference in compare((one, {}), (other, {}), 0)], [f"tree /a {member}"])
        for layer, key in (([("a", _REGULAR, "2")], "tree /a content"), ([], "tree /a exists"),
                           ([("a", _REGULAR, "1"), ("b", _SYMLINK, "a")], "tree /b exists")):
            self.assertEqual([difference.key for difference in compare((one, {}), (self.layout(layer).tree(), {}), 0)], [key])

    def test_configs_are_compared(self):
        def config(**members):
            return {"config": members, "history": [{"created_by": "/bin/sh -c #(nop)  ENV A=1"}]}
        keys = [difference.key for difference in compare(({}, config(User="a", Env=["A=1"])), ({}, config(Env=["A=2"], Cmd=None)), 0)]
        self.assertEqual(sorted(keys), ["config Env", "config User"])
        other = config(User="a") | {"history": [{"created_by": "COPY a /a # buildkit"}]}
        self.assertEqual([difference.key for difference in compare(({}, config(User="a")), ({}, other), 0)], ["history"])

    def test_rows_explain_only_what_they_name_and_must_be_of_use(self):
        found = compare((self.layout([("a", _REGULAR, "1")]).tree(), {}), (self.layout([("a", _REGULAR, "1", {"mode": 0})]).tree(), {}), 0)
        rows = [Row(["copy/*"], ["tree /a mode"], "", "", ["0644", "0600"]), Row(["copy/*"], ["tree /a mode"], "", "")]
        self.assertEqual(unexplained(rows, "add/x", found), (found, False))
        self.assertEqual(unexplained(rows, "copy/x", found), ([], True))
        self.assertEqual(idle(rows, {"copy/x"}, ["copy/x", "add/x"]), rows[:1])
        self.assertEqual(idle(rows, {"add/x"}, ["copy/x", "add/x"]), [])

    def test_every_case_can_be_read(self):
        for name in case_file.names():
            self.assertTrue(case_file.read(name).says, name)

    def test_every_row_speaks_of_a_case_and_says_why(self):
        for row in read():
            self.assertTrue(row.ours and row.why, row)
            for glob in row.cases:
                self.assertTrue(fnmatch.filter(case_file.names(), glob), f"no case is called {glob}")

    def test_every_golden_has_a_case(self):
        goldens = {str(path.relative_to(GOLDENS))[:-len(".txt")] for path in GOLDENS.glob("*/*.txt")}
        self.assertEqual(goldens - {name for name in case_file.names() if case_file.read(name).fails is None}, set())

    def test_a_case_that_breaks_the_format_is_an_error(self):
        table = {"FROM scratch\n": "comment", "# x\n-- options --\ntagret a\n": "unknown option", "# x\n": "no Dockerfile",
                 "# x\n-- Dockerfile --\nFROM scratch\n-- context/a mdoe=1 --\n": "unknown attribute",
                 "# x\n-- Dockerfile --\nFROM scratch\n-- ../a --\n": "not below",
                 "# x\n-- options --\noracle none because\n-- Dockerfile --\nFROM scratch\n": "expects"}
        for text, message in table.items():
            with self.assertRaisesRegex(case_file.BadCase, message):
                case_file.parse("copy/x", text)


if __name__ == "__main__":
    unittest.main()
