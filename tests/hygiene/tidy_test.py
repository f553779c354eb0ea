#!/usr/bin/python3
"""clang-tidy (the checks of .clang-tidy) finds nothing in the folders that it is given."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def main(build: pathlib.Path, folders: list[str]) -> int:
    commands = json.loads((build / "compile_commands.json").read_text())
    files = sorted({entry["file"] for entry in commands
                    if any(pathlib.Path(entry["file"]).is_relative_to(TOP / folder) for folder in folders)})
    if not files:
        print(f"no source file of {', '.join(folders)} in {build}/compile_commands.json")
        return 1

    def check(file: str) -> subprocess.CompletedProcess:
        # GCC's own warning flags mean nothing to clang.
        return subprocess.run(["clang-tidy", "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option", file],
                              capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(check, files))
    wrong = [file for file, result in zip(files, done) if result.returncode != 0]
    for result in done:
        if result.returncode != 0:
            print(result.stdout, result.stderr if not result.stdout else "")
    print(f"clang-tidy looked at {len(files)} files, {len(wrong)} have findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2:]))
