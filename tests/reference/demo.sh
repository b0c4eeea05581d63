#!/usr/bin/env bash
# From nothing to a page served by a container on a booted image. A second run reuses what has not changed.
# usage: demo.sh [qemux86-64|qemuarm64] [--once]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
export OSBUILD_WORK=${OSBUILD_WORK:-$top/work}
work=$OSBUILD_WORK
started=$(date +%s%N)
say() { printf '\033[1m==> [%4d s] %s\033[0m\n' $(( ($(date +%s%N) - started) / 1000000000 )) "$*" >&2; }

board=qemux86-64 once=
for argument; do
  case $argument in
    --once) once=yes ;;
    qemux86-64|qemuarm64) board=$argument ;;
    *) echo "error: the demo runs qemux86-64 or qemuarm64, not '$argument'" >&2; exit 2 ;;
  esac
done
limit=${OSBUILD_DEMO_LIMIT:-900}   # seconds to wait for the page; emulation without KVM is a hundred times slower than a board

say "image: programs, reference deploy directory, demo app"
image=$("$here/image.sh" $board)
run=$work/run-$board; rm -rf "$run"; mkdir -p "$run"
say "disk"                              # larger than the image, as a card is: the data partition grows at first boot
truncate -s 4G "$run/disk.img"
"$top/dist/linux-x64/flasher" write "$image" --to "$run/disk.img" --yes >&2

mkfifo "$run/monitor.in" "$run/monitor.out"
port=8080; while (: < /dev/tcp/127.0.0.1/$port) 2>/dev/null; do port=$((port + 1)); done
url=http://127.0.0.1:$port/

say "boot in QEMU (emulated: about a hundred times slower than a board); console in ${run#"$top/"}/console.log"
: > "$run/console.log"
booted=$(date +%s%N)
timeout --kill-after=10 ${OSBUILD_DEMO_HOURS:-8}h "$here/machine.sh" $board "$run/disk.img" "$run" $port -monitor "pipe:$run/monitor" > "$run/qemu.log" 2>&1 &
pid=$!
cat "$run/monitor.out" > "$run/monitor.log" & cat_pid=$!
exec 8> "$run/monitor.in"
alive() { kill -0 $pid 2>/dev/null; }
cleanup() { kill $pid $cat_pid 2>/dev/null || true; rm -f "$run"/monitor.in "$run"/monitor.out; }   # either may have ended already
trap cleanup EXIT

fail() { echo "error: $*; the end of the console:" >&2; tail -n 40 "$run/console.log" >&2; exit 1; }
elapsed() { echo $(( ($(date +%s%N) - booted) / 1000000000 )); }
timeline() { tr -d '\r' < "$run/console.log" | grep -aE '^\[osbuild\] \+' || true; }
shown=0
show_events() { # prints the supervisor's own time line as it comes
  local lines total; lines=$(timeline)
  [ -n "$lines" ] || return 0
  total=$(wc -l <<< "$lines")
  [ "$total" -le $shown ] || { tail -n +$((shown + 1)) <<< "$lines" | sed 's/^/    /' >&2; shown=$total; }
}
wait_for() { # WHAT CONDITION...
  local what=$1; shift
  until "$@"; do
    alive || { cat "$run/qemu.log" >&2; fail "QEMU ended before there was $what"; }
    [ "$(elapsed)" -lt "$limit" ] || fail "there was no $what within $limit s"
    show_events; sleep 1
  done
}
event() { timeline | sed -n "s/^\[osbuild\] +\([0-9.]*\)s $1.*/\1/p" | head -n 1; }
has_event() { [ -n "$(event "$1")" ]; }

wait_for "page from the container" curl -sf --max-time 5 -o "$run/page.html" "${url}cgi-bin/index.cgi"
answered=$(( ($(date +%s%N) - booted) / 1000000 ))
wait_for "line 'containers started' on the console" has_event 'containers started'
show_events
say "the container answers at $url"
awk -v p="$(event pid1)" -v m="$(event mounts)" -v e="$(event 'engine ready')" -v c="$(event 'containers started')" -v a=$answered 'BEGIN {
  printf "    kernel to PID 1              %7.1f s\n    PID 1 to mounts              %7.1f s\n    mounts to engine ready       %7.1f s\n", p, m-p, e-m
  printf "    engine to containers started %7.1f s\n    power-on to answer           %7.1f s (with firmware and loader)\n", c-e, a/1000 }' >&2

power_down() {
  echo system_powerdown >&8
  for _ in $(seq 1 180); do alive || return 0; sleep 1; done
  return 1
}
if [ -n "$once" ]; then
  say "power button: clean shutdown"
  power_down || fail "the guest did not power off within 180 s"
  timeline | grep -q 'clean shutdown' || fail "the guest ended without reporting a clean shutdown"
  say "done"
  exit 0
fi
cat >&2 <<END

    Open  $url
    Stop  Ctrl-C (presses the power button; the disk stays in ${run#"$top/"}/disk.img)

END
trap 'trap - INT; say "power button"; power_down || true; exit 0' INT TERM
while alive; do sleep 1; done
