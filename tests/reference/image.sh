#!/usr/bin/env bash
# Makes the reference image of a board with the demo app in it, in work/images/BOARD, and prints its path. A second run reuses what has not changed.
# usage: image.sh BOARD
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
export OSBUILD_WORK=${OSBUILD_WORK:-$top/work}
work=$OSBUILD_WORK board=$1
say() { printf '\033[1m--> %s\033[0m\n' "$*" >&2; }

say "publish image-builder and flasher"
"$here/publish.sh" image-builder:linux-x64 flasher:linux-x64
description=$("$top/dist/linux-x64/image-builder" boards "$board" --json)
case $description in
  *'"arch":"x86_64"'*) arch=amd64 rid=linux-x64 ;;
  *) arch=arm64 rid=linux-arm64 ;;
esac
machine=$(sed 's/.*"machines":\["\([^"]*\)".*/\1/' <<< "$description")
say "publish supervisor"
"$here/publish.sh" supervisor:$rid
say "reference deploy directory for $machine (a stand-in for bitbake's, from Debian packages)"
"$here/deploy-dir.sh" "$machine"
say "demo app"
"$here/demo-app.sh" $arch "$work/demo/$arch"
say "image"
mkdir -p "$work/images/$board"
"$top/dist/linux-x64/image-builder" build "$board" --deploy "$work/deploy/$machine" --output "$work/images/$board" --image osbuild-reference \
  --supervisor "$top/dist/$rid/supervisor" --compose "$work/demo/$arch/compose.yaml" --load "$work/demo/$arch/demo.tar" >&2
ls "$work/images/$board/osbuild-reference-$machine.img"
