#!/usr/bin/env bash
# Debian's boot loaders for machines that QEMU has, in work/firmware; for machine.sh and the tests of boards.
# usage: firmware.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
work=${OSBUILD_WORK:-$top/work}; mkdir -p "$work"
. "$here/debian.sh"
out=$work/firmware
[ ! -f "$out/.done" ] || [ "$out/.done" -ot "$0" ] || exit 0
rm -rf "$out"; mkdir -p "$out"
apt_private
unpack_debs amd64 "$out/all" u-boot-qemu
unpack_debs arm64 "$out/all" u-boot-rpi
kernel=$(depends_first arm64 linux-image-arm64)
fetch_debs arm64 "$kernel"
cp "$out/all/usr/lib/u-boot/qemu_arm64/u-boot.bin" "$out/qemu_arm64.bin"
cp "$out/all/usr/lib/u-boot/rpi_3/u-boot.bin" "$out/rpi_3.bin"
dpkg-deb --fsys-tarfile "$(deb_file arm64 "$kernel")" | tar -x -C "$out" --wildcards --transform 's|.*/|rpi_3-|' '*/broadcom/bcm2837-rpi-3-b.dtb'
# Last, so that what was had is there when the index of this architecture is not.
apt_private armhf || echo "  not every index of armhf could be had; going on with those that could" >&2
unpack_debs armhf "$out/all" u-boot-sunxi
cp "$out/all/usr/lib/u-boot/orangepi_plus/u-boot-sunxi-with-spl.bin" "$out/orangepi_plus.bin"   # the H3, which -M orangepi-pc has too
rm -rf "$out/all"
touch "$out/.done"
