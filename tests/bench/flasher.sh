#!/usr/bin/env bash
# Compares the flasher with dd, cmp, bmaptool and (where npm installs it) etcher-sdk in one run, on the 1 GiB image and the two targets of
# the project's baselines: a loop device on tmpfs, and the same loop throttled at the block layer to a card's 40 MB/s writing and 90 MB/s
# reading. usage: tests/bench/flasher.sh [FLASHER]   RUNS=3 FAST=1 SLOW=1 SIZE=1024 (MiB)
# Needs root, losetup, xz, zstd, gzip, bmaptool, mkfs.ext4, mkfs.vfat, GNU time; npm for etcher-sdk. Prints a table: case, seconds, CPU seconds,
# peak memory, and at the end the ratios beside their goals.
set -euo pipefail
flasher=$(readlink -f "${1:-dist/linux-x64/flasher}"); [ -x "$flasher" ] || { echo "no flasher at $flasher; run ./build.sh publish" >&2; exit 1; }
runs=${RUNS:-3} fast=${FAST:-1} slow=${SLOW:-1} size=${SIZE:-1024}
declare -A wall=() peak=()
[ "$(id -u)" = 0 ] || { echo "run as root: loop devices are needed" >&2; exit 1; }
folder=$(mktemp -d /dev/shm/osbuild-bench.XXXXXX); device= more=()
blkio=/sys/fs/cgroup/blkio
finish() {
  if [ -n "$device" ]; then throttle 0 0; losetup -d "$device" "${more[@]}" || true; fi
  rm -rf "$folder"
}
throttle() {
  [ -e $blkio/blkio.throttle.write_bps_device ] || return 0
  echo "7:${device#/dev/loop} $1" > $blkio/blkio.throttle.write_bps_device
  echo "7:${device#/dev/loop} $2" > $blkio/blkio.throttle.read_bps_device
}
trap finish EXIT
image=$folder/t.img

make_image() {
  local boot=64 root=$((size - 65)) files=$folder/files
  mkdir -p "$files"
  # Real files up to somewhat more than half of the image.
  local budget=$(((size * 541 / 1024) * 1024)) used=0 entry kib
  while read -r entry; do
    kib=$(du -sk "$entry" 2>/dev/null | cut -f1); [ $((used + kib)) -le $budget ] || continue
    used=$((used + kib)); cp -a --parents "$entry" "$files" 2>/dev/null || true
  done < <(find /usr/lib /usr/share -mindepth 2 -maxdepth 2 -not -type l | LC_ALL=C sort)
  truncate -s ${size}M "$image"
  printf 'label: dos\nstart=2048,size=%d,type=c\nstart=%d,type=83\n' $((boot * 2048)) $(((boot + 1) * 2048)) | sfdisk -q "$image"
  truncate -s ${boot}M "$folder/boot"; mkfs.vfat -F 32 "$folder/boot" > /dev/null
  truncate -s ${root}M "$folder/root"; mkfs.ext4 -q -F -d "$files" "$folder/root"
  dd if="$folder/boot" of="$image" bs=1M seek=1 conv=notrunc,sparse status=none
  dd if="$folder/root" of="$image" bs=1M seek=$((boot + 1)) conv=notrunc,sparse status=none
  rm -rf "$files" "$folder/boot" "$folder/root"
  fallocate -d "$image"
  mkdir "$folder/map"; ln "$image" "$folder/map/t.img"
  bmaptool -q create -o "$folder/map/t.img.bmap" "$image"
  xz -6 -T2 -kc "$image" > "$image.xz"; gzip -6 -kc "$image" > "$image.gz"; zstd -q -12 -T2 -kc "$image" > "$image.zst"
  ln "$image.xz" "$folder/map/t.img.xz"
}

# few COMMAND...: with at most two runs, for what takes ten seconds and hardly varies.
few() { local kept=$runs; runs=$((runs < 2 ? runs : 2)); "$@"; runs=$kept; }

# Prints the median of the runs: wall, CPU (user + system of all children), memory of the largest process.
measure() {
  local name=$1 i; shift
  rm -f "$folder/times"
  for ((i = 0; i < runs; i++)); do
    blank
    /usr/bin/time -o "$folder/time" -f '%e %U %S %M' bash -c "$*" > "$folder/log" 2>&1 || { printf '%-44s FAILED: %s\n' "$name" "$(tail -n 1 "$folder/log")"; return 0; }
    awk '{print $1, $2 + $3, $4 / 1024}' "$folder/time" >> "$folder/times"
  done
  local median most
  read -r median most < <(sort -n "$folder/times" | awk '{w[NR] = $1; if ($3 > m) m = $3} END {print w[int((NR + 1) / 2)], m}')
  wall[$name]=$median peak[$name]=$most
  sort -n "$folder/times" | awk -v name="$name" '{w[NR] = $1; c[NR] = $2; m[NR] = $3} END {k = int((NR + 1) / 2); printf "%-44s %7.2f s   cpu %6.2f s   %5.0f MiB\n", name, w[k], c[k], m[k]}'
}

# Every run begins on a card that reads as zero, all blocks allocated.
blank() { throttle 0 0; dd if=/dev/zero of="$folder/disk" bs=1M count=$((size + 64)) conv=notrunc status=none; sync; throttle "$write" "$read"; }

# ratio TEXT A B GOAL: A / B beside the goal; A and B are names of cases or plain seconds.
ratio() {
  local a=${wall[$2]:-$2} b=${wall[$3]:-$3}
  awk -v t="$1" -v a="$a" -v b="$b" -v g="$4" 'BEGIN {if (a > 0 && b > 0) printf "%-60s %6.2f   goal %s\n", t, a / b, g}'
}

# etcher-sdk from npm; one of its packages is named by a GitHub address, which is replaced.
etcher() {
  local home=${OSBUILD_WORK:-work}/etcher-sdk
  command -v npm > /dev/null || return 1
  if [ ! -d "$home/node_modules/etcher-sdk" ]; then
    mkdir -p "$home"
    echo '{"private": true, "dependencies": {"etcher-sdk": "10.2.15"}, "overrides": {"unbzip2-stream": "1.4.3"}}' > "$home/package.json"
    (cd "$home" && npm install --no-audit --no-fund && npm rebuild) > "$home/npm.log" 2>&1 || return 1
  fi
  cat > "$home/flash.js" <<'JS'
const fs = require('fs'), sdk = require('etcher-sdk'), { decompressThenFlash } = require('etcher-sdk/build/multi-write');
(async () => {
  const [source, target, verify, trim] = process.argv.slice(2);
  // The list of drives of its scanner has no loop devices: what it would say of one.
  const size = 512 * Number(fs.readFileSync('/sys/class/block/' + target.slice(5) + '/size', 'utf8'));
  const drive = { device: target, raw: target, size, blockSize: 512, isReadOnly: false, isSystem: false, mountpoints: [] };
  const failed = [];
  const result = await decompressThenFlash({
    source: new sdk.sourceDestination.File({ path: source }),
    destinations: [new sdk.sourceDestination.BlockDevice({ drive, unmountOnSuccess: false, write: true, direct: true })],
    onFail: (_, e) => failed.push(e), onProgress: () => {}, verify: verify === '1', numBuffers: 2, decompressFirst: true, trim: trim === '1',
  });
  for (const e of [...failed, ...result.failures.values()]) console.error(e.message);
  process.exit(failed.length + result.failures.size ? 1 : 0);
})().catch(e => { console.error(e); process.exit(1); });
JS
  etcher="node $(readlink -f "$home/flash.js")"
}

cases() {
  local direct="bs=4M oflag=direct conv=fsync status=none"
  measure "dd, no verification" "dd if=$image of=$device $direct"
  measure "dd + cmp" "dd if=$image of=$device $direct && dd if=$device bs=4M iflag=direct count=$((size / 4)) status=none | cmp - $image"
  measure "flasher, no verification" "'$flasher' write $image --to $device --yes --no-verify --no-map"
  measure "flasher + verification" "'$flasher' write $image --to $device --yes --no-map"
  if [ -n "$etcher" ]; then
    measure "etcher-sdk + verification" "$etcher $image $device 1 0"
    measure "etcher-sdk (trim) + verification" "$etcher $image $device 1 1"
  fi
  measure "bmaptool (map, no read-back)" "bmaptool -q copy --bmap $folder/map/t.img.bmap $image $device"
  measure "flasher (map) + verification" "'$flasher' write $folder/map/t.img --to $device --yes"
  few measure "xz -dc | dd" "xz -dc $image.xz | dd of=$device iflag=fullblock $direct"
  few measure "bmaptool xz (map, no read-back)" "bmaptool -q copy --bmap $folder/map/t.img.bmap $image.xz $device"
  measure "flasher xz, no verification" "'$flasher' write $image.xz --to $device --yes --no-verify"
  measure "flasher xz + verification" "'$flasher' write $image.xz --to $device --yes"
  [ "$write" = 0 ] || return 0
  few measure "xz -dc > /dev/null" "xz -dc $image.xz > /dev/null"
  few measure "xz -T2 -dc > /dev/null" "xz -T2 -dc $image.xz > /dev/null"
  few measure "gzip -dc | dd" "gzip -dc $image.gz | dd of=$device iflag=fullblock $direct"
  measure "flasher gz + verification" "'$flasher' write $image.gz --to $device --yes"
  # check reads an image to its end and writes nothing: decoding alone.
  measure "flasher check xz" "'$flasher' check $image.xz"
  measure "flasher check gz" "'$flasher' check $image.gz"
  measure "flasher check zst" "'$flasher' check $image.zst"
  measure "zstd -dc > /dev/null" "zstd -q -dc $image.zst > /dev/null"
  measure "zstd -dc | dd" "zstd -q -dc $image.zst | dd of=$device iflag=fullblock $direct"
  measure "flasher zst, no verification" "'$flasher' write $image.zst --to $device --yes --no-verify"
  measure "flasher zst + verification" "'$flasher' write $image.zst --to $device --yes"
  measure "flasher list" "'$flasher' list"
  local i to
  for i in 2 3 4; do
    fallocate -l $((size + 64))M "$folder/disk$i"; more+=("$(losetup -f --show "$folder/disk$i")")
    to=$(printf ' --to %s' "$device" "${more[@]}")
    [ $i = 3 ] || measure "flasher + verification, $i drives" "'$flasher' write $image $to --yes --no-map"
  done
  losetup -d "${more[@]}"; more=(); rm -f "$folder"/disk[234]
}

etcher=; etcher || echo "etcher-sdk does not install here; left out"
make_image
fallocate -l $((size + 64))M "$folder/disk"
device=$(losetup -f --show "$folder/disk")
mapped=$(sed -n 's/.*<MappedBlocksCount> *\([0-9][0-9]*\).*/\1/p' "$folder/map/t.img.bmap" | tail -n 1)
printf 'image %d MiB, mapped %s blocks of 4 KiB; xz %d, gz %d, zst %d MiB; flasher %d KiB; median of %d\n' "$size" \
  "$mapped" \
  $(($(stat -c %s "$image.xz") >> 20)) $(($(stat -c %s "$image.gz") >> 20)) $(($(stat -c %s "$image.zst") >> 20)) $(($(stat -c %s "$flasher") >> 10)) "$runs"
if [ "$fast" = 1 ]; then
  write=0 read=0
  echo "== fast: loop on tmpfs"
  cases
  echo "== ratios, fast"
  ratio "raw + verification / (dd + cmp)" "flasher + verification" "dd + cmp" "<= 1"
  ratio "xz decoded / (xz -dc > /dev/null)" "flasher check xz" "xz -dc > /dev/null" "<= 0.5"
  ratio "zst decoded / (zstd -dc > /dev/null)" "flasher check zst" "zstd -dc > /dev/null" "<= 1.1"
  # Decoding and writing here, decoding alone or decoding and writing there.
  ratio "xz, no verification / (xz -dc > /dev/null)" "flasher xz, no verification" "xz -dc > /dev/null" "<= 0.5 for decoding alone"
  ratio "xz, no verification / (xz -dc | dd)" "flasher xz, no verification" "xz -dc | dd" "<= 0.5"
  ratio "zst, no verification / (zstd -dc > /dev/null)" "flasher zst, no verification" "zstd -dc > /dev/null" "<= 1.1 for decoding alone"
  ratio "zst, no verification / (zstd -dc | dd)" "flasher zst, no verification" "zstd -dc | dd" "<= 1.1"
  ratio "list of drives / 150 ms" "flasher list" 0.15 "<= 1"
  memory() { awk -v t="$1" -v a="$2" -v g="$3" 'BEGIN {printf "%-60s %6.1f   goal %s\n", t, a, g}'; }
  memory "peak memory, raw, MiB" "${peak["flasher + verification"]}" "<= 48"
  memory "peak memory, xz, MiB" "${peak["flasher xz + verification"]}" "<= 48"
  memory "each further drive, MiB (4 drives, less 1, by 3)" "$(awk -v a="${peak["flasher + verification, 4 drives"]}" -v b="${peak["flasher + verification"]}" 'BEGIN {print (a - b) / 3}')" "<= 4"
fi
if [ "$slow" = 1 ] && [ -e $blkio/blkio.throttle.write_bps_device ]; then
  write=$((40 << 20)) read=$((90 << 20))
  full=$(awk -v s="$size" 'BEGIN {print s / 40 + s / 90}') part=$(awk -v m="$mapped" 'BEGIN {print m / 256 / 40 + m / 256 / 90}')
  echo "== card: 40 MiB/s write, 90 MiB/s read; limits: write + read $full s, mapped write + read $part s"
  cases
  echo "== ratios, card"
  ratio "full write + verification / limit of the device" "flasher + verification" "$full" "<= 1.02"
  ratio "mapped write + verification / its limit" "flasher (map) + verification" "$part" "<= 1.03"
fi
