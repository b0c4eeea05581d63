#!/usr/bin/env bash
# Makes a reference deploy directory for a board out of Debian packages, named and laid out as bitbake (scarthgap) leaves
# tmp/deploy/images/MACHINE. It is a stand-in: it lets anyone try the tools without an hours-long Yocto build.
# usage: deploy-dir.sh MACHINE [DIRECTORY]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
work=${OSBUILD_WORK:-$top/work}; mkdir -p "$work"
. "$here/debian.sh"

board=${1:?usage: deploy-dir.sh MACHINE [DIRECTORY]}
out=${2:-$work/deploy/$board}
firmware=(systemd-boot-efi)
case $board in
  qemux86-64)       arch=amd64 kernel=linux-image-cloud-amd64 ;;
  genericx86-64)    arch=amd64 kernel=linux-image-amd64 firmware+=(grub-pc-bin grub-common) ;;
  qemuarm64)        arch=arm64 kernel=linux-image-cloud-arm64 ;;
  genericarm64)     arch=arm64 kernel=linux-image-arm64 ;;
  raspberrypi3-64)  arch=arm64 kernel=linux-image-arm64 firmware=(u-boot-rpi) ;;
  *) echo "error: no reference deploy directory for '$board'; there is one for qemux86-64, genericx86-64, qemuarm64, genericarm64 and raspberrypi3-64" >&2; exit 2 ;;
esac
if [ $arch = amd64 ]; then yocto_arch=x86_64 image_type=bzImage efi=x64 tune="m64 core2" triple=x86_64-linux-gnu
else yocto_arch=aarch64 image_type=Image efi=aa64 tune="aarch64 crc cortexa57" triple=aarch64-linux-gnu; fi

say() { printf '  %s\n' "$*" >&2; }

packages=(docker.io containerd runc tini iptables busybox-static ca-certificates netbase
  libc6 libgcc-s1 libseccomp2 libdevmapper1.02.1 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblzma5 libzstd1 liblz4-1
  libselinux1 libudev1 libpcre2-8-0 libssl3 kmod libkmod2 libip4tc2 libip6tc2 libxtables12 libmnl0 libnetfilter-conntrack3
  libnfnetlink0 libnftnl11)

say "packages for $arch"
apt_private
image_package=$(depends_first $arch $kernel)
fetch_debs $arch "${packages[@]}" "$image_package" "${firmware[@]}"

# What decides the result: the package versions and these scripts. Unchanged means nothing to do.
fingerprint=$( { for p in "${packages[@]}" "$image_package" "${firmware[@]}"; do basename "$(deb_file $arch $p)"; done
                 cat "$here/deploy-dir.sh" "$here/debian.sh"; } | sha256sum | cut -d' ' -f1)
if [ -f "$out/.fingerprint" ] && [ "$(cat "$out/.fingerprint")" = "$fingerprint" ]; then say "unchanged: $out"; exit 0; fi

stage=$work/stage-$board; rm -rf "$stage" "$out"; mkdir -p "$stage/root" "$stage/kernel" "$out"
root=$stage/root

say "root file system"
for d in bin sbin lib; do mkdir -p "$root/usr/$d"; ln -s "usr/$d" "$root/$d"; done
[ $arch = arm64 ] || { mkdir -p "$root/usr/lib64"; ln -s usr/lib64 "$root/lib64"; }
unpack_debs $arch "$root" "${packages[@]}"

# Thin: the engine, what it calls, their libraries, certificates. No Docker CLI, no systemd, no package manager, no documents.
keep_bin="dockerd containerd containerd-shim-runc-v2 runc docker-init tini iptables ip6tables iptables-nft ip6tables-nft iptables-save ip6tables-save
  iptables-restore ip6tables-restore xtables-nft-multi modprobe kmod lsmod busybox"
for f in "$root"/usr/bin/* "$root"/usr/sbin/*; do
  case " $(echo $keep_bin) " in *" $(basename "$f") "*) ;; *) rm -rf "$f" ;; esac
done
cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root"/usr/share/{doc,man,info,locale,lintian,bash-completion,zsh,fish,vim,bug,initramfs-tools,ca-certificates,gcc,gdb,perl5,polkit-1,pkgconfig,keyrings,docker.io,golang*} \
  "$root"/usr/lib/{systemd,tmpfiles.d,sysusers.d,udev,sysctl.d,modprobe.d,pam.d,ssl} "$root"/usr/{include,games,src,local} \
  "$root"/etc/{init.d,default,systemd,cron*,logrotate.d,bash_completion.d,init,ca-certificates*,docker,apparmor.d,xattr.conf,selinux,ld.so.conf.d} \
  "$root/usr/lib/$triple"/{gconv,engines-3,ossl-modules,audit} "$root"/var/lib/* "$root"/var/cache/*
rm -rf "$root"/usr/share/{apport,dpkg,readline,libgcrypt20,containerd}
find "$root/usr/lib/$triple" -name 'libmemusage*' -o -name 'libpcprofile*' -o -name 'libsystemd-shared*' | xargs -r rm -f
ln -sf xtables-nft-multi "$root/usr/sbin/iptables"; ln -sf xtables-nft-multi "$root/usr/sbin/ip6tables"
for applet in sh ls cat ps mount umount dmesg ip ping wget tail head grep sleep kill free df top vi; do
  [ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
done
echo "/usr/lib/$triple" > "$root/etc/ld.so.conf"
mkdir -p "$root"/{dev,proc,sys,run,tmp,boot,data,state,mnt,opt,root} "$root"/var/{lib,log,cache,tmp}
chmod 1777 "$root/tmp" "$root/var/tmp"; chmod 700 "$root/root"
ln -sfn ../run "$root/var/run"; ln -sfn ../run/lock "$root/var/lock"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\ndocker:x:101:\nnogroup:x:65534:\n' > "$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$root/etc/nsswitch.conf"
cat > "$root/etc/os-release" <<EOF
ID=osbuild-reference
NAME="OsBuild reference host"
PRETTY_NAME="OsBuild reference host (Debian packages in Yocto's layout)"
VERSION_ID=12
EOF

# Every library that a program here needs must be here too.
missing=$(cd "$root" && find usr/bin usr/sbin "usr/lib/$triple" -type f -exec objdump -p {} + 2>/dev/null | sed -n 's/^  NEEDED *//p' | sort -u |
  while read -r so; do [ -n "$(find usr/lib usr/lib64 -name "$so" 2>/dev/null | head -n 1)" ] || echo "$so"; done)
[ -z "$missing" ] || { echo "error: the root file system lacks $(echo $missing)" >&2; exit 1; }

say "kernel and modules"
unpack_debs $arch "$stage/kernel" "$image_package"
version=$(ls "$stage/kernel/lib/modules"); modules=$stage/modules/lib/modules/$version; mkdir -p "$modules"
src=$stage/kernel/lib/modules/$version
# The modules a container host needs: buses, disks (block has t10-pi, which sd_mod and nvme need), wired network, file systems, netfilter. No graphics, sound, wireless.
(cd "$src" && find kernel -name '*.ko' | grep -E '^kernel/(lib|crypto|arch|block|fs/(overlayfs|squashfs|erofs|fat|nls|ext4|jbd2|fuse|efivarfs|mbcache|crypto)|fs/[a-z0-9_]*\.ko|net/(802|8021q|llc|bridge|core|ipv4|ipv6|netfilter|packet|sched|xfrm|unix|key)|drivers/(ata|block|nvme|scsi|mmc|md|virtio|watchdog|rtc|usb/(core|host|storage|common|dwc2|phy|roles)|char/hw_random|acpi|input/(evdev|keyboard)|hid/(hid|usbhid|hid-generic)|net/(virtio_net|veth|tun|macvlan|ipvlan|vxlan|bridge|dummy|net_failover|mdio|phy|usb|ethernet/(intel|realtek|amd/xgbe|broadcom|marvell|stmicro|cadence))|firmware|i2c/(busses|i2c-smbus)|gpio|thermal|power|bus|clk|soc|reset|phy|pinctrl|regulator|dma|iommu|mailbox|spi|pci|hwmon|leds))' \
  | grep -Ev '/(sound|media|infiniband|iwlwifi|kvm|ipset|ipvs|bcache|nvme/target|scsi_debug|iscsi|ipr|libsas|raid456|dm-vdo|mhi|qla|lpfc|mpt3sas|megaraid|bfa|qed|csiostor|cxgb|bnx2|aacraid|be2iscsi|fnic|hpsa|smartpqi|mpi3mr|elx|pm8001|aic7|aic94|isci|mvsas|ice|i40e|iavf|fm10k|liquidio|drbd|rbd)' \
  | tar -c -T - -f - | tar -x -C "$modules")
cp "$src"/modules.builtin "$src"/modules.builtin.modinfo "$src"/modules.order "$modules/"
depmod -b "$stage/modules" "$version"

# bitbake's time stamp: here the newest time among the packages, so that the same packages give the same names and bytes.
epoch=$(find "$root" "$src" -type f -printf '%T@\n' | sort -n | awk -v now="$(date +%s)" '$1 < now - 3600' | tail -n 1 | cut -d. -f1)
stamp=$(date -u -d "@$epoch" +%Y%m%d%H%M%S)
find "$stage/root" "$stage/modules" -newermt "@$epoch" -exec touch -h -d "@$epoch" {} +

name=osbuild-reference link=$name-$board.rootfs image=$name-$board.rootfs-$stamp
tar_options=(--sort=name --format=posix --numeric-owner --owner=0 --group=0 --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime)
say "root file system tarball (zstd)"
tar -C "$root" "${tar_options[@]}" -c . -f - | zstd -q -T0 -"${OSBUILD_ZSTD_LEVEL:-12}" -o "$out/$image.tar.zst"
ln -s "$image.tar.zst" "$out/$link.tar.zst"

artifact=-$(echo "$version" | sed 's/-.*//')+debian-r0-$board-$stamp       # PKGE is empty, hence bitbake's double dash
cp "$stage/kernel/boot/vmlinuz-$version" "$out/$image_type-$artifact.bin"
ln -s "$image_type-$artifact.bin" "$out/$image_type-$board.bin"; ln -s "$image_type-$artifact.bin" "$out/$image_type"
tar -C "$stage/modules" "${tar_options[@]}" -c lib -f - | gzip -n -9 > "$out/modules-$artifact.tgz"
ln -s "modules-$artifact.tgz" "$out/modules-$board.tgz"
unpack_debs $arch "$stage/boot" "${firmware[@]}"
boot=$stage/boot/usr/lib
[ ! -d "$boot/systemd" ] || cp "$boot/systemd/boot/efi/systemd-boot$efi.efi" "$out/"
case $board in
  genericarm64) find "$stage/kernel/usr/lib" -name '*.dtb' -exec cp -t "$out" {} + ;;
  raspberrypi3-64)
    find "$stage/kernel/usr/lib" -name 'bcm2837-rpi-3-b.dtb' -exec cp -t "$out" {} +
    cp "$boot/u-boot/rpi_3/u-boot.bin" "$out/" ;;
  genericx86-64)   # what grub-install would make for a disk whose first partition is the boot partition
    cp "$boot/grub/i386-pc/boot.img" "$out/"
    "$stage/boot/usr/bin/grub-mkimage" -O i386-pc -d "$boot/grub/i386-pc" -p '(hd0,msdos1)/boot/grub' -o "$out/core.img" \
      biosdisk part_msdos fat normal configfile loadenv test linux echo boot sleep reboot ;;   # what our grub.cfg says; there are no modules on the disk
esac

for p in "${packages[@]}"; do
  printf '%s %s %s\n' "$p" "$([ "$(dpkg-deb -f "$(deb_file $arch $p)" Architecture)" = all ] && echo all || echo $yocto_arch)" "$(deb_version $arch $p)"
done | sort > "$out/$image.manifest"
ln -s "$image.manifest" "$out/$link.manifest"
cat > "$out/$image.testdata.json" <<EOF
{
    "DATETIME": "$stamp",
    "DISTRO": "osbuild-reference",
    "DISTRO_FEATURES": "usrmerge virtualization seccomp",
    "DISTRO_VERSION": "12",
    "EFI_PROVIDER": "systemd-boot",
    "IMAGE_BASENAME": "$name",
    "IMAGE_FSTYPES": "tar.zst",
    "IMAGE_LINK_NAME": "$link",
    "IMAGE_MACHINE_SUFFIX": "-$board",
    "IMAGE_NAME": "$image",
    "IMAGE_NAME_SUFFIX": ".rootfs",
    "KERNEL_IMAGETYPE": "$image_type",
    "LAYERSERIES_CORENAMES": "scarthgap",
    "MACHINE": "$board",
    "REPRODUCIBLE_TIMESTAMP_ROOTFS": "$epoch",
    "TARGET_ARCH": "$yocto_arch",
    "TARGET_SYS": "$yocto_arch-poky-linux",
    "TCLIBC": "glibc",
    "TUNE_ARCH": "$yocto_arch",
    "TUNE_FEATURES": "$tune",
    "root_prefix": "/usr"
}
EOF
ln -s "$image.testdata.json" "$out/$link.testdata.json"
echo "$fingerprint" > "$out/.fingerprint"

kernel_size=$(stat -Lc %s "$out/$image_type"); modules_size=$(stat -Lc %s "$out/modules-$board.tgz"); rootfs_size=$(stat -Lc %s "$out/$link.tar.zst")
say "$(awk -v k=$kernel_size -v m=$modules_size -v r=$rootfs_size -v u="$(du -sm "$root" | cut -f1)" 'BEGIN {
  printf "kernel %.1f + modules %.1f + root file system %.1f = %.1f MB compressed (unpacked root %d MB)", k/1e6, m/1e6, r/1e6, (k+m+r)/1e6, u }')"
rm -rf "$stage"
say "done: $out"
