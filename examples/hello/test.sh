#!/bin/sh
# The program greets who it is told to, and refuses to guess.
set -eu
[ "$(./hello you)" = "Hello, you!" ]
if ./hello 2>/dev/null; then exit 1; fi
echo "hello: tests passed"
