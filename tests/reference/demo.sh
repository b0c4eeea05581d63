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
case $board in
  qemux86-64) arch=amd64 rid=linux-x64 ;;
  qemuarm64)  arch=arm64 rid=linux-arm64 ;;
esac
limit=${OSBUILD_DEMO_LIMIT:-900}   # seconds to wait for the page; emulation without KVM is a hundred times slower than a board

say "publish image-builder and supervisor"
"$here/publish.sh" image-builder:linux-x64 supervisor:$rid
say "reference deploy directory for $board (a stand-in for bitbake's, from Debian packages)"
"$here/deploy-dir.sh" $board
say "demo app"
"$here/demo-app.sh" $arch "$work/demo/$arch"
say "image"
mkdir -p "$work/images"
"$top/dist/linux-x64/image-builder" build $board --deploy "$work/deploy/$board" --output "$work/images" --image osbuild-reference \
  --supervisor "$top/dist/$rid/supervisor" --compose "$work/demo/$arch/compose.yaml" --load "$work/demo/$arch/demo.tar"
image=$work/images/osbuild-reference-$board.img

run=$work/run-$board; rm -rf "$run"; mkdir -p "$run"
cp --sparse=always "$image" "$run/disk.img"
truncate -s 4G "$run/disk.img"            # a larger disk than the image, as a card is: the data partition grows at first boot
mkfifo "$run/monitor.in" "$run/monitor.out"
port=8080; while (: < /dev/tcp/127.0.0.1/$port) 2>/dev/null; do port=$((port + 1)); done
url=http://127.0.0.1:$port/

qemu=(-accel tcg,thread=multi -smp 2 -m 1024 -display none -no-reboot -serial "file:$run/console.log" -monitor "pipe:$run/monitor"
  -drive "file=$run/disk.img,if=none,id=disk,format=raw" -device virtio-blk-pci,drive=disk,bootindex=0
  -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:80" -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci)
case $board in
  qemux86-64)
    cp /usr/share/OVMF/OVMF_VARS_4M.fd "$run/vars.fd"
    qemu=(qemu-system-x86_64 -machine q35 -cpu max "${qemu[@]}" -device i6300esb -action watchdog=reset
      -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive "if=pflash,unit=1,format=raw,file=$run/vars.fd") ;;
  qemuarm64)
    cp /usr/share/AAVMF/AAVMF_VARS.fd "$run/vars.fd"
    qemu=(qemu-system-aarch64 -machine virt -cpu cortex-a57 "${qemu[@]}"
      -drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd -drive "if=pflash,unit=1,format=raw,file=$run/vars.fd") ;;
esac
say "boot in QEMU (emulated: about a hundred times slower than a board); console in ${run#"$top/"}/console.log"
: > "$run/console.log"
booted=$(date +%s%N)
timeout --kill-after=10 ${OSBUILD_DEMO_HOURS:-8}h "${qemu[@]}" > "$run/qemu.log" 2>&1 &
pid=$!
cat "$run/monitor.out" > "$run/monitor.log" & cat_pid=$!
exec 8> "$run/monitor.in"
alive() { kill -0 $pid 2>/dev/null; }
cleanup() { alive && kill $pid 2>/dev/null; kill $cat_pid 2>/dev/null; rm -f "$run"/monitor.in "$run"/monitor.out; return 0; }
trap cleanup EXIT

shown=0
show_events() { # prints the supervisor's own time line lines as they come
  local lines; lines=$(tr -d '\r' < "$run/console.log" | grep -aE '^\[osbuild\] \+' || true)
  [ -n "$lines" ] || return 0
  local total; total=$(wc -l <<< "$lines")
  [ "$total" -le $shown ] || { tail -n +$((shown + 1)) <<< "$lines" | sed 's/^/    /' >&2; shown=$total; }
}
fail() { echo "error: $*; the end of the console:" >&2; tail -n 40 "$run/console.log" >&2; exit 1; }
until curl -sfL --max-time 5 -o "$run/page.html" "$url"; do
  alive || { cat "$run/qemu.log" >&2; fail "QEMU ended before the container answered"; }
  [ $(( ($(date +%s%N) - booted) / 1000000000 )) -lt $limit ] || fail "no answer from the container within $limit s"
  show_events; sleep 1
done
answered=$(( ($(date +%s%N) - booted) / 1000000 ))
show_events

say "the container answers at $url"
event() { tr -d '\r' < "$run/console.log" | sed -n "s/^\[osbuild\] +\([0-9.]*\)s $1.*/\1/p" | head -n 1; }
awk -v p="$(event pid1)" -v m="$(event mounts)" -v e="$(event 'engine ready')" -v a=$answered 'BEGIN {
  printf "    kernel to PID 1        %7.1f s\n    PID 1 to mounts        %7.1f s\n    mounts to engine ready %7.1f s\n    power-on to answer     %7.1f s (with firmware and loader)\n", p, m-p, e-m, a/1000 }' >&2

power_down() {
  echo system_powerdown >&8
  for _ in $(seq 1 180); do alive || return 0; sleep 1; done
  return 1
}
if [ -n "$once" ]; then
  say "power button: clean shutdown"
  power_down || fail "the guest did not power off within 180 s"
  grep -a -q '\[osbuild\].*clean shutdown' "$run/console.log" || fail "the guest ended without reporting a clean shutdown"
  say "done"
  exit 0
fi
cat >&2 <<EOF

    Open  $url
    Stop  Ctrl-C (presses the power button; the disk stays in ${run#"$top/"}/disk.img)

EOF
trap 'trap - INT; say "power button"; power_down || true; exit 0' INT TERM
while alive; do sleep 1; done
