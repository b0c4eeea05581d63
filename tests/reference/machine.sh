#!/usr/bin/env bash
# Switches a machine on: a board's disk in QEMU, as the `qemu` part of its board file says. Ends when the machine is off. Emulated (TCG).
# usage: machine.sh BOARD DISK FOLDER PORT [QEMU-OPTION...]     PORT of this machine leads to port 80 of the guest
# Leaves in FOLDER: console.log (serial console), firmware.log (second serial console, where the machine has one), qmp (a socket)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
export OSBUILD_WORK=${OSBUILD_WORK:-$top/work}   # firmware.sh leaves U-Boot there
board=$1 disk=$2 folder=$3 port=$4; shift 4

description=$("$top/dist/linux-x64/image-builder" boards "$board" --json)
case $description in
  *'"qemu":{'*) form=${description##*\"qemu\":\{}; form=${form%%\}*} ;;
  *) echo "error: the board file of $board does not say how QEMU runs it (qemu:)" >&2; exit 2 ;;
esac
value() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",]*\).*/\1/p" <<< "$form"; }

case $description in
  *'"arch":"x86_64"'*) options=(qemu-system-x86_64 -smp 2 -device i6300esb -action watchdog=reset) ;;
  *) options=(qemu-system-aarch64) ;;
esac
options+=(-machine "$(value machine)" -accel tcg,thread=multi -m $(($(value memory) >> 20)) -display none -no-reboot
  -serial "file:$folder/console.log" -qmp "unix:$folder/qmp,server=on,wait=off")
[ -z "$(value cpu)" ] || options+=(-cpu "$(value cpu)")

pflash() { # CODE VARIABLES
  cp "$2" "$folder/variables.fd"
  options+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$1" -drive "if=pflash,unit=1,format=raw,file=$folder/variables.fd")
}
case $(value firmware) in
  ovmf) pflash /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_VARS_4M.fd ;;
  aavmf) pflash /usr/share/AAVMF/AAVMF_CODE.fd /usr/share/AAVMF/AAVMF_VARS.fd ;;
  seabios) ;;
  # Without ACPI the power button is a GPIO key, which Debian's cloud kernel has no driver for; a keyboard has a power key too.
  u-boot/qemu_arm64) options+=(-bios "$OSBUILD_WORK/firmware/qemu_arm64.bin" -device virtio-keyboard-pci) ;;
  u-boot/rpi_3) options+=(-serial "file:$folder/firmware.log" -kernel "$OSBUILD_WORK/firmware/rpi_3.bin" -dtb "$OSBUILD_WORK/firmware/rpi_3-bcm2837-rpi-3-b.dtb") ;;
  none) ;;
esac
case $(value disk) in
  virtio) options+=(-drive "file=$disk,if=none,id=disk,format=raw" -device virtio-blk-pci,drive=disk,bootindex=0) ;;
  sata) options+=(-drive "file=$disk,if=none,id=disk,format=raw" -device ide-hd,drive=disk,bus=ide.0,bootindex=0) ;;
  sd) options+=(-drive "file=$disk,if=sd,format=raw") ;;
  *) echo "error: machine.sh does not know the disk $(value disk)" >&2; exit 2 ;;
esac
options+=(-netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:80")
case $(value machine) in
  raspi*) options+=(-device usb-net,netdev=net) ;;
  virt) options+=(-smp 2 -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci) ;;
  *) options+=(-device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci) ;;
esac
exec "${options[@]}" "$@"
