#!/usr/bin/env bash
# Makes a guest for testing the flasher: Debian's kernel, an initramfs that loads the drivers and switches to a real root on NVMe with
# busybox, the flasher and an image in it. usage: guest.sh FOLDER FLASHER IMAGE-SIZE-MIB
# Leaves FOLDER/{vmlinuz,initrd,root.img,image}. Needs apt, cpio, mkfs.ext4, busybox-static; no root.
set -euo pipefail
folder=$1 flasher=$2 mib=$3
mkdir -p "$folder"; cd "$folder"
modules=(nvme usb-storage uas xhci-pci sd_mod sr_mod sdhci-pci mmc_block virtio_scsi virtio_pci virtio_blk ext4 vfat nls_ascii nls_cp437 dm-mod dm-crypt raid1 btrfs zram)
if [ ! -e vmlinuz ]; then
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/{print $2; exit}')
  ls "${package}"_*.deb > /dev/null 2>&1 || apt-get download -q "$package" > apt.log
  rm -rf kernel && mkdir kernel && dpkg -x "${package}"_*.deb kernel
  mv kernel/boot/vmlinuz-* vmlinuz
fi
version=$(ls kernel/lib/modules)
[ -e "kernel/lib/modules/$version/modules.dep" ] || /sbin/depmod -b "$PWD/kernel" "$version"

rm -rf initrd.d root.d
mkdir -p initrd.d/{bin,dev,proc,sys,mnt,modules} root.d/{bin,dev,proc,sys,run,tmp,lib64,lib/x86_64-linux-gnu,home,media/eva/stick}
cp "$(command -v busybox)" initrd.d/bin/busybox; cp initrd.d/bin/busybox root.d/bin/busybox
for tool in sh mount umount mkdir cat ls sleep insmod switch_root poweroff dd cmp mkswap swapon echo seq; do ln -sf busybox initrd.d/bin/$tool; ln -sf busybox root.d/bin/$tool; done
# All drivers in the order of their dependencies.
for module in "${modules[@]}"; do
  /sbin/modprobe -d "$PWD/kernel" -S "$version" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" {print $2}' || true
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" initrd.d/modules/; echo "/modules/$(basename "$file")"
done > initrd.d/modules.load
cat > initrd.d/init <<'EOF'
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "$module" 2>/dev/null; done < /modules.load
for i in $(seq 100); do [ -b /dev/nvme0n1 ] && break; sleep 0.2; done
mount -t ext4 /dev/nvme0n1 /mnt || echo "GUEST no root"
umount /proc; umount /sys; mount -t devtmpfs dev /mnt/dev
exec switch_root /mnt /test.sh
EOF
chmod +x initrd.d/init
(cd initrd.d && find . | LC_ALL=C sort | cpio -o -H newc --quiet | gzip -1) > initrd

cp "$flasher" root.d/bin/flasher
# The program's libraries, and OpenSSL for SHA-256, which .NET loads by name.
{ ldd "$flasher" | grep -o '/[^ ]*'; ls /usr/lib/x86_64-linux-gnu/libssl.so.3 /usr/lib/x86_64-linux-gnu/libcrypto.so.3; } | sort -u | while read -r file; do
  case $file in */ld-linux*) cp -L "$file" root.d/lib64/ ;; *) cp -L "$file" root.d/lib/x86_64-linux-gnu/ ;; esac
done
[ -e image ] || { head -c $((mib * 524288)) /dev/urandom; head -c $((mib * 524288)) /dev/zero; } > image
cp image root.d/image
cat > root.d/test.sh <<'EOF'
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
for i in $(seq 50); do [ -b /dev/mmcblk0 ] && break; sleep 0.2; done
sleep 2
script=$(cat /proc/cmdline); script=${script##*case=}; script=${script%% *}
echo "GUEST begin $script"
id() { for d in /sys/block/*; do [ "$(cat $d/size)" = "$1" ] && echo "/dev/${d##*/}"; done; }
run() { name=$1; shift; flasher "$@" < /dev/null > /tmp/out 2>&1; echo "GUEST $name exit $?"; while read -r line; do echo "GUEST $name | $line"; done < /tmp/out; }
. /case-$script.sh
echo "GUEST end"
poweroff -f
EOF
chmod +x root.d/test.sh
# The disks are told apart by their sizes in sectors: usb 262144, usb without the removable bit 327680, write-protected 393216, card 524288, scsi 458752.
cat > root.d/case-matrix.sh <<'EOF'
mkswap $(id 458752) > /dev/null; swapon $(id 458752)
mount -t ext4 $(id 589824) /home
run list list --json
for size in 262144 327680 524288; do run write-$size write /image --to $(id $size) --yes --json; done
run verify verify /image --to $(id 262144)
run system write /image --to /dev/nvme0n1 --yes
run protected write /image --to $(id 393216) --yes
run swap write /image --to $(id 458752) --yes
run home write /image --to $(id 589824) --yes
EOF
cat > root.d/case-unplug.sh <<'EOF'
run unplug write /image --to $(id 262144) --yes
EOF
cat > root.d/case-error.sh <<'EOF'
run error write /image --to $(id 262144) --yes
EOF
chmod +x root.d/case-*.sh
rm -f root.img; truncate -s $((mib + 128))M root.img; /sbin/mkfs.ext4 -q -F -d root.d root.img
