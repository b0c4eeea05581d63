#!/usr/bin/env bash
# Makes a guest for trying the flasher on buses that this machine lacks: Debian's kernel and an initramfs with drivers, busybox, the flasher and
# the tools that put disks to use. It reads commands from its virtio console, runs them and says how they ended; the kernel and the firmware
# have the serial one, which loses characters when the machine is busy.
# usage: guest.sh      prints the folder with vmlinuz and initrd
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
work=${OSBUILD_WORK:-$top/work}; mkdir -p "$work"
. "$here/debian.sh"
modules="nvme usb-storage uas xhci-pci sd_mod sr_mod sdhci-pci mmc_block virtio_scsi virtio_pci virtio_console ext4 vfat nls_ascii nls_cp437 dm-mod dm-crypt xts algif_skcipher raid1 btrfs zram"
programs="mkfs.ext4 sfdisk lvm cryptsetup mdadm mkfs.btrfs"

"$here/publish.sh" flasher:linux-x64 >&2
apt_private
kernel=$(depends_first amd64 linux-image-amd64)
fetch_debs amd64 "$kernel" busybox-static
out=$work/guest root=$work/guest/root
fingerprint=$( { cat "$0" "$top/dist/linux-x64/flasher"; deb_file amd64 "$kernel"; } | sha256sum)
[ ! -f "$out/fingerprint" ] || [ "$(cat "$out/fingerprint")" != "$fingerprint" ] || { echo "$out"; exit 0; }
rm -rf "$out"; mkdir -p "$root"/{bin,dev,proc,sys,run,tmp,etc,mnt,home,modules,lib64,lib/x86_64-linux-gnu,media/stick}

unpack_debs amd64 "$out/kernel" "$kernel"
version=$(ls "$out/kernel/lib/modules"); mv "$out/kernel/boot/vmlinuz-$version" "$out/vmlinuz"
depmod -b "$out/kernel" "$version"
for module in $modules; do   # all drivers, what they need before them
  modprobe -d "$out/kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do cp "$file" "$root/modules/"; echo "/modules/${file##*/}"; done > "$root/modules/load"

unpack_debs amd64 "$out/busybox" busybox-static
cp "$out/busybox/bin/busybox" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"; done
for program in $programs; do rm -f "$root/bin/$program"; cp -L "$(PATH=$PATH:/usr/sbin:/sbin command -v $program)" "$root/bin/$program"; done
cp "$top/dist/linux-x64/flasher" "$root/bin/flasher"
# Their libraries, and OpenSSL, which .NET loads by name.
for file in $(for p in $programs flasher; do ldd "$root/bin/$p"; done | grep -o '/[^ ]*' | sort -u) /usr/lib/x86_64-linux-gnu/{libssl,libcrypto}.so.3; do
  case $file in */ld-linux*) cp -L "$file" "$root/lib64/" ;; *) cp -L "$file" "$root/lib/x86_64-linux-gnu/" ;; esac
done
cat > "$root/init" <<'END'
#!/bin/sh
export PATH=/bin HOME=/
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
while read -r module; do insmod "$module" 2> /dev/null; done < /modules/load
: > /modules/load
for i in $(seq 100); do [ -c /dev/hvc0 ] && break; sleep 0.1; done
exec < /dev/hvc0 > /dev/hvc0 2>&1
stty -echo
echo "GUEST READY"
while read -r line; do eval "$line"; echo "GUEST EXIT $?"; done
poweroff -f
END
chmod 755 "$root/init"
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 | gzip -1) > "$out/initrd"
rm -rf "$out/kernel" "$out/busybox" "$root"
echo "$fingerprint" > "$out/fingerprint"
echo "$out"
