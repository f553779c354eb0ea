#!/usr/bin/python3
"""Keeps the arrows between the rooms, and each third-party library in the one room that may name it."""

import re
import unittest

from tree import text, tracked

# A room may include itself and these; a program may include all of lib/ and itself.
ARROWS = {
    "base": set(),
    "archive": {"base"},
    "http": {"base"},
    "dockerfile": {"base"},
    "oci": {"base", "archive"},
    "ssh": {"base"},
    "registry": {"base", "http", "oci"},
    "kube": {"base", "http"},
    "api": {"base", "oci"},
    "build": {"base", "api", "dockerfile", "oci"},
    "lint": {"base", "archive", "api", "dockerfile", "oci"},
}
PROGRAMS = {"builder", "cli", "operator"}

# A program may use another program's rooms where the design says that both share code.
PROGRAM_ARROWS = {"cli": {"builder"}}

# Where a third-party header may be included.
LIBRARIES = {
    r"curl/": {"lib/http"},
    r"cpprest/|pplx/": {"lib/http"},
    r"archive(_entry)?\.h": {"lib/archive"},
    r"(zlib|zstd|libdeflate)\.h": {"lib/archive"},
    r"isa-l": {"lib/archive"},
    r"openssl/": {"lib/oci", "lib/ssh"},
    r"yaml-cpp/": {"lib/api"},
    r"CLI/": {"builder", "cli", "operator"},
    r"prometheus/": {"operator"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def sources():
    return [path for path in tracked("*.cc", "*.h") if path.parts[0] == "lib" or path.parts[0] in PROGRAMS]


def includes(path):
    return [(kind == '"', name) for kind, name in INCLUDE.findall(text(path))]


def wrong_arrow(path, target):
    """Why `path` may not include the room or program `target`, or None."""
    top = path.parts[0]
    if target in PROGRAMS:
        if target != top and target not in PROGRAM_ARROWS.get(top, set()):
            return f"a file of {top}/ may not include the program {target}"
    elif target in ARROWS and top == "lib":
        room = path.parts[1]
        if room not in ARROWS:
            return f"the room {room} is not in the table of this test"
        if target != room and target not in ARROWS[room]:
            return f"there is no arrow {room} → {target}"
    return None


class RoomsTest(unittest.TestCase):
    def test_arrows_are_kept(self):
        wrong = []
        for path in sources():
            for ours, name in includes(path):
                reason = wrong_arrow(path, name.split("/")[0]) if ours and "/" in name else None
                if reason:
                    wrong.append(f"{path}: #include \"{name}\": {reason}")
        self.assertEqual(wrong, [])

    def test_third_party_headers_stop_at_their_room(self):
        wrong = []
        for path in sources():
            for _, name in includes(path):
                for pattern, homes in LIBRARIES.items():
                    if re.match(pattern, name) and not any(str(path).startswith(f"{home}/") for home in homes):
                        wrong.append(f"{path}: <{name}> belongs to {', '.join(sorted(homes))}")
        self.assertEqual(wrong, [])

    def test_every_include_of_ours_names_its_room(self):
        wrong = [f"{path}: {name}" for path in sources() for ours, name in includes(path) if ours and "/" not in name]
        self.assertEqual(wrong, [], "includes are rooted at lib/ or at the top")

    def test_every_room_has_its_arrows_here(self):
        rooms = {path.parts[1] for path in tracked("lib/*") if len(path.parts) > 2}
        self.assertLessEqual(rooms, set(ARROWS))

    def test_there_is_something_to_look_at(self):
        self.assertGreater(len(sources()), 20)


if __name__ == "__main__":
    unittest.main()
