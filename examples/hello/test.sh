#!/bin/sh
# The program greets who it is told to, and refuses to guess.
set -eu
[ "$(./hello you)" = "Hello, you!" ]
! ./hello 2>/dev/null
echo "hello: tests passed"
