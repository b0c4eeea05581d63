#!/usr/bin/env bash
# Size and memory of the supervisor beside a real engine with ten services. Needs root, dockerd and busybox-static; ends everything it started.
# usage: supervisor.sh [BINARY] [ROUNDS]     BINARY: dist/linux-x64/supervisor; ROUNDS: looks at the engine between the two figures, 2000
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
binary=${1:-$top/dist/linux-x64/supervisor} rounds=${2:-2000}
dir=$(mktemp -d /tmp/osb-bench-XXXX)
export OSBUILD_BOOT=$dir/boot OSBUILD_STATE=$dir/state OSBUILD_DATA=$dir/data OSBUILD_RUN=$dir/run OSBUILD_ENGINE=$dir/docker.sock OSBUILD_PORT=0
mkdir -p "$OSBUILD_BOOT/apps" "$OSBUILD_STATE" "$OSBUILD_DATA" "$OSBUILD_RUN"
PATH=$PATH:/usr/sbin:/sbin
engine='' worker=''
finish() {
  [ -z "$worker" ] || { kill "$worker" 2>/dev/null && wait "$worker" 2>/dev/null; } || true
  [ -z "$engine" ] || { kill "$engine" 2>/dev/null && wait "$engine" 2>/dev/null; } || true
  rm -rf "$dir" 2>/dev/null || { sleep 1; rm -rf "$dir"; }
}
trap finish EXIT

dockerd --data-root "$dir/docker" --exec-root "$dir/exec" -H "unix://$OSBUILD_ENGINE" --pidfile "$dir/pid" --bridge none --iptables=false --storage-driver overlay2 > "$dir/engine.log" 2>&1 &
engine=$!

# An image of busybox alone, as a docker-save archive.
mkdir -p "$dir/image/bin"; cp /bin/busybox "$dir/image/bin/"
tar -C "$dir/image" -cf "$dir/layer.tar" bin
digest=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
mkdir "$dir/save"; mv "$dir/layer.tar" "$dir/save/"
echo "{\"architecture\":\"$(dpkg --print-architecture)\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$digest\"]}}" > "$dir/save/config.json"
echo '[{"Config":"config.json","RepoTags":["bench:1"],"Layers":["layer.tar"]}]' > "$dir/save/manifest.json"
tar -C "$dir/save" -cf "$OSBUILD_BOOT/apps/bench.tar" manifest.json config.json layer.tar

{ echo "services:"; for i in $(seq 10); do echo "  s$i: { image: 'bench:1', command: [/bin/busybox, sleep, '100000'], network_mode: none, restart: always, stop_grace_period: 1s, labels: { io.osbuild.update.proving-time: 3s } }"; done; } > "$OSBUILD_BOOT/compose.yaml"
"$binary" worker --containers-only > "$dir/worker.log" 2>&1 &
worker=$!

ask() { curl -s --unix-socket "$OSBUILD_RUN/supervisor.sock" "http://supervisor/v1/$1"; }
for _ in $(seq 600); do
  [ "$(ask status 2>/dev/null | grep -o '"state":"running"' | wc -l)" = 10 ] && ask status | grep -q '"state":"good"' && break
  sleep 0.5
done
[ "$(ask status | grep -o '"state":"running"' | wc -l)" = 10 ] || { echo "the ten services do not run"; tail "$dir/worker.log"; exit 1; }
sleep 40 # the idle round comes every 30 s, and gives memory back when it is over

figures() { awk -v what="$1" '/^(Rss|Pss|Pss_Anon|Pss_File|Private_Dirty):/ { v[$1] = $2 } END { printf "%-22s PSS %6d kB (own memory %5d, of the file %5d), RSS %6d kB\n", what, v["Pss:"], v["Pss_Anon:"], v["Pss_File:"], v["Rss:"] }' "/proc/$worker/smaps_rollup"; }
printf '%-22s %.1f MB, %.1f MB with zstd -19\n' binary "$(stat -c %s "$binary" | awk '{print $1/1e6}')" "$(zstd -19 -q -c "$binary" | wc -c | awk '{print $1/1e6}')"
figures "worker, ten services"
[ -z "${BENCH_SMAPS:-}" ] || cp "/proc/$worker/smaps" "$BENCH_SMAPS"
ticks() { awk '{ print $14 + $15 }' "/proc/$worker/stat"; }
before=$(ticks)
for _ in $(seq 240); do awk '/^Pss:/ { print $2 }' "/proc/$worker/smaps_rollup"; sleep 0.25; done | sort -n | awk '{ v[NR] = $1 } END { printf "%-22s PSS %6d kB at least, %d half of the time, %d at most\n", "for a minute", v[1], v[int((NR + 1) / 2)], v[NR] }'
printf '%-22s %d ms of processor time\n' "in that minute" $((($(ticks) - before) * 1000 / $(getconf CLK_TCK)))
begun=$SECONDS
seq "$rounds" | xargs -P 1 -n 200 sh -c 'for _ in "$@"; do echo "url = \"http://supervisor/v1/plan\""; echo "output = /dev/null"; done | curl -s --unix-socket "$OSBUILD_RUN/supervisor.sock" -K -' _
printf '%-22s in %d s\n' "$rounds looks and plans" $((SECONDS - begun))
sleep 35
figures "after them"
