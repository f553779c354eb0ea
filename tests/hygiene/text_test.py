#!/usr/bin/python3
"""Names that say something, links that lead somewhere, and no word of the place where the project was written."""

import re
import unittest

from tree import TOP, text, tracked

EMPTY_NAMES = {"util", "utils", "common", "helper", "helpers", "misc", "manager", "stuff"}
FOREIGN_WORDS = re.compile(r"/work/|\.\./shared\b|before-stop|real-cluster\.md|cpp-facts\.md|\bissues show\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


class TextTest(unittest.TestCase):
    def test_no_file_has_a_name_that_says_nothing(self):
        wrong = [str(path) for path in tracked()
                 if EMPTY_NAMES & set(re.split(r"[_.\-]", path.name.lower()) + [part.lower() for part in path.parts[:-1]])]
        self.assertEqual(wrong, [])

    def test_nothing_mentions_another_place(self):
        own = "tests/hygiene/text_test.py"
        wrong = [f"{path}: {found[0]}" for path in tracked() if str(path) != own and (found := FOREIGN_WORDS.search(text(path)))]
        self.assertEqual(wrong, [])

    def test_links_between_pages_lead_somewhere(self):
        wrong = []
        for path in tracked("*.md"):
            prose = re.sub(r"(?s)```.*?```", "", text(path))
            for target in LINK.findall(prose):
                target, _, anchor = target.partition("#")
                if re.match(r"[a-z]+:", target):
                    continue
                page = (TOP / path).parent / target if target else TOP / path
                if not page.exists():
                    wrong.append(f"{path}: {target}")
                elif anchor and page.suffix == ".md" and anchor not in anchors(page.read_text()):
                    wrong.append(f"{path}: {target}#{anchor}")
        self.assertEqual(wrong, [])

    def test_every_header_is_guarded_and_says_what_it_is(self):
        wrong = [str(path) for path in tracked("*.h")
                 if "#pragma once" not in text(path) or not re.match(r"\s*(#pragma once\s+)?//", text(path))]
        self.assertEqual(wrong, [])


def anchors(page: str) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"(?m)^#+\s+(.*)$", page)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    unittest.main()
