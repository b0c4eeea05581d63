#!/usr/bin/env bash
# Publishes the programs into dist/: native AOT for linux-x64 and linux-arm64 (cross-compiled), trimmed self-contained single
# files for the other systems, for which no AOT runtime pack is in reach. Unchanged sources are not published again.
# usage: publish.sh all | TARGET...      TARGET = PROGRAM:RID, for example supervisor:linux-arm64
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
work=${OSBUILD_WORK:-$top/work}; mkdir -p "$work"
. "$here/debian.sh"
dist=$top/dist
all=(image-builder:linux-x64 supervisor:linux-x64 flasher:linux-x64 supervisor:linux-arm64 flasher:linux-arm64
  flasher:win-x64 flasher:osx-arm64 flasher:osx-x64 image-builder:win-x64 image-builder:osx-arm64)
[ "${1:-all}" = all ] && set -- "${all[@]}"

made_of() { case $1 in image-builder) echo image-builder board-configs ;; *) echo "$1" image-builder/Images image-builder/Directory.* ;; esac; }
project() { case $1 in image-builder) echo image-builder/Builder ;; *) echo "$1" ;; esac; }

sysroot() { # the few arm64 packages that linking needs
  local root=$work/sysroot-arm64
  if [ ! -f "$root/.done" ]; then
    apt_private >&2
    unpack_debs arm64 "$root" libc6 libc6-dev linux-libc-dev libgcc-12-dev libgcc-s1 libcrypt1 >&2
    touch "$root/.done"
  fi
  echo "$root"
}

names() { # PROGRAM TOOL-PREFIX: the functions of a program, each with its distance from where the program is loaded
  local base; base=$("$2readelf" -lW "$1" | awk '$1 == "LOAD" { print $3; exit }')
  "$2nm" -n --defined-only "$1" | awk '$2 ~ /^[tT]$/ { print $1, $3 }' | while read -r at name; do printf '%016x %s\n' $((16#$at - base)) "$name"; done
}

for target; do
  program=${target%%:*} rid=${target##*:} folder=$(project "${target%%:*}")
  stamp=$dist/$rid/.$program
  sources=$(cd "$top" && { find $(made_of "$program") -type f -not -path '*/bin/*' -not -path '*/obj/*' -not -name '*.md' | LC_ALL=C sort | xargs sha256sum
    sha256sum tests/reference/publish.sh; dotnet --version; } | sha256sum | cut -d' ' -f1)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sources" ]; then echo "  unchanged: dist/$rid/$program" >&2; continue; fi
  echo "  publishing $program for $rid" >&2
  options=(-c Release -r "$rid" -v quiet --nologo -p:DebugType=none -p:StripSymbols=true)
  case $rid in
    linux-x64) ;;
    linux-arm64) options+=(-p:SysRoot="$(sysroot)" -p:LinkerFlavor=lld -p:ObjCopyName=llvm-objcopy)
      llvm=$(ls -d /usr/lib/llvm-*/bin | tail -n 1); PATH=$llvm:$PATH ;;
    *) options+=(-p:PublishAot=false -p:PublishTrimmed=true -p:PublishSingleFile=true --self-contained -p:EnableCompressionInSingleFile=true) ;;
  esac
  # The supervisor is built without the names of stack frames (tests/reference/frames.sh gives them back).
  [ "$program" != supervisor ] || options+=(-p:StripSymbols=false)
  into=$work/publish/$rid/$program; rm -rf "$into"
  log=$work/publish-$program-$rid.log; mkdir -p "$into"
  dotnet publish "$top/$folder" "${options[@]}" -o "$into" > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
  if grep -E 'warning IL[0-9]+' "$log" >&2; then echo "error: $program for $rid publishes with IL warnings" >&2; exit 1; fi
  mkdir -p "$dist/$rid"
  file=$program; case $rid in win-*) file=$program.exe ;; esac
  if [ "$program" = supervisor ]; then
    prefix=''; [ "$rid" = linux-x64 ] || prefix=llvm-
    names "$into/$file" "$prefix" > "$dist/$rid/supervisor.symbols"
    "${prefix}strip" "$into/$file"
  fi
  cp "$into/$file" "$dist/$rid/$file.new"; mv "$dist/$rid/$file.new" "$dist/$rid/$file"
  echo "$sources" > "$stamp"
  echo "  $(stat -c %s "$dist/$rid/$file" | awk '{printf "%.1f MB", $1/1e6}')  dist/$rid/$file" >&2
done
