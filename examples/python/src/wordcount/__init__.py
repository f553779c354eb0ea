"""Counts the words of its arguments."""

import sys


def main() -> None:
    print(f"{len(' '.join(sys.argv[1:]).split())} words")
