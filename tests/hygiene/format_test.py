#!/usr/bin/python3
"""Every C++ file is as clang-format leaves it. To mend: clang-format -i FILE."""

import shutil
import subprocess
import unittest

from tree import TOP, tracked


class FormatTest(unittest.TestCase):
    def test_every_file_is_formatted(self):
        program = shutil.which("clang-format-14") or shutil.which("clang-format")
        self.assertIsNotNone(program, "clang-format is not installed (package clang-format)")
        files = tracked("*.cc", "*.h")
        done = subprocess.run([program, "--dry-run", "--Werror", *map(str, files)], cwd=TOP, capture_output=True, text=True)
        wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "error:" in line})
        self.assertEqual((done.returncode, wrong), (0, []))


if __name__ == "__main__":
    unittest.main()
