#!/usr/bin/env bash
# Us and the peers side by side in one run, on the same inputs; prints medians, ratios and memory. Nothing here is asserted.
# usage: bench.sh [builder] [flasher]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
export OSBUILD_WORK=${OSBUILD_WORK:-$top/work}
[ $# -gt 0 ] || set -- builder flasher
"$here/publish.sh" image-builder:linux-x64 supervisor:linux-x64 flasher:linux-x64
for what; do
  case $what in
    builder|flasher) "$top/tests/bench/$what.sh" ;;
    *) echo "error: no bench '$what' (builder, flasher)" >&2; exit 2 ;;
  esac
done
