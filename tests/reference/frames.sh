#!/usr/bin/env bash
# Gives the frames of the supervisor's stack traces their names. The program carries none; publish.sh leaves them beside it.
# usage: frames.sh [SYMBOLS] < LOG     SYMBOLS: dist/linux-x64/supervisor.symbols of the very build that wrote the log
set -euo pipefail
symbols=${1:-$(cd "$(dirname "$0")/../.." && pwd)/dist/linux-x64/supervisor.symbols}
[ -f "$symbols" ] || { echo "$symbols is not there; tests/reference/publish.sh makes it" >&2; exit 1; }
# Offsets are made sixteen digits long, as those in the file are, so that their order is that of text.
while IFS= read -r line; do
  if [[ $line =~ supervisor!\<BaseAddress\>\+0x([0-9a-f]+) ]]; then
    offset=$(printf '%16s' "${BASH_REMATCH[1]}" | tr ' ' 0)
    line="$line $(awk -v at="$offset" '($1 "") > (at "") { exit } { name = $2 } END { print name }' "$symbols")"
  fi
  printf '%s\n' "$line"
done
