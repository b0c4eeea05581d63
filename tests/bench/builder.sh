#!/usr/bin/env bash
# image-builder beside genimage, what wic does, mke2fs, mksquashfs, cp and zstd: the same 300 MB root file system and boot files, all on tmpfs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd); export OSBUILD_WORK=${OSBUILD_WORK:-$top/work}
scratch=$(mktemp -d /dev/shm/osbuild-bench.XXXXXX); trap 'rm -rf "$scratch"' EXIT
. "$here/measure.sh"
cd "$scratch"

# A root tree of about 300 MB and 6,000 entries out of the running Debian: programs, libraries, small data files.
mkdir -p rootfs/usr
budget() { # DIRECTORY MiB
  mkdir -p "rootfs$1"
  find "$1" -xdev \( -type f -size -8192k -o -type l \) -printf '%s %P\n' 2>/dev/null | LC_ALL=C sort -k2 | awk -v most=$(($2 << 20)) '{ s += $1 } s <= most { sub(/^[0-9]+ /, ""); print }' |
    { tar -C "$1" --ignore-failed-read -cf - -T - 2>/dev/null || true; } | tar -C "rootfs$1" -xf -
}
budget /usr/bin 110; budget /usr/sbin 25; budget /usr/lib/x86_64-linux-gnu 95; budget /usr/lib/git-core 8; budget /usr/share/zoneinfo 3
budget /usr/share/perl 15; budget /usr/share/perl5 10; budget /usr/share/doc 30; budget /etc 4
mkdir -p rootfs/{dev,proc,sys,run,tmp,boot,data,state,root,var/lib}; for d in bin sbin lib; do ln -s usr/$d rootfs/$d; done
mkdir -p rootfs/usr/lib64; ln -sfn usr/lib64 rootfs/lib64
for library in /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/lib{c,m,dl,pthread,gcc_s}.so*; do cp -L "$library" rootfs/usr/lib64/ 2>/dev/null || true; done
echo "root tree: $(du -sm rootfs | cut -f1) MiB, $(find rootfs | wc -l) entries, $runs runs each, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"

# A deploy directory around it: the reference one with the large root file system in place of its own.
"$top/tests/reference/deploy-dir.sh" qemux86-64
cp -a "$OSBUILD_WORK/deploy/qemux86-64" deploy
link=osbuild-reference-qemux86-64.rootfs.tar.zst; real=$(readlink "deploy/$link")
tar -C rootfs --sort=name --format=posix --numeric-owner --owner=0 --group=0 -cf rootfs.tar .
zstd -q -3 -f rootfs.tar -o "deploy/$real"; cp "deploy/$real" rootfs.tar.zst
mkdir boot; cp -L deploy/bzImage boot/Image; head -c 26000000 /dev/urandom > boot/filler

build() { "$top/dist/linux-x64/image-builder" build qemux86-64 --deploy deploy --output "$1" --supervisor "$top/dist/linux-x64/supervisor" "${@:2}"; }
export -f build; export top
cat > genimage.cfg <<'CFG'
image boot.vfat { vfat { files = { "Image", "filler" } label = "boot" } size = 128M }
image root.ext4 { ext4 { label = "root" use-mke2fs = true } size = 512M mountpoint = "/" }
image data.ext4 { ext4 { label = "data" use-mke2fs = true } size = 64M empty = true temporary = false }
image disk.img { hdimage { partition-table-type = "gpt" align = 4M }
  partition boot { image = "boot.vfat" } partition root { image = "root.ext4" } partition data { image = "data.ext4" } }
CFG

echo; echo "from root file system tarball to disk image"
before='rm -f d.tar' measure 'zstd -d' zstd -q -d rootfs.tar.zst -o d.tar
rm -f d.tar
before='rm -rf out' measure 'image-builder (img + bmap with sha256)' bash -c 'build out'
image=$(ls out/*.img)
before='rm -f k.img' measure 'cp --sparse of the image' cp --sparse=always "$image" k.img
mv k.img finished.img
before='rm -rf x gi' measure 'genimage with untar' bash -c 'mkdir x && zstd -qdc rootfs.tar.zst | tar -C x -xf - && genimage --config genimage.cfg --rootpath x --inputpath boot --tmppath gi/tmp --outputpath gi/out'
rm -rf gi
# What wic runs for three partitions and a block map (scripts/lib/wic: partition.py, plugins/imager/direct.py), less bitbake, pseudo and its Python:
# wic itself is part of openembedded-core and neither a Debian package nor on PyPI (the wic there is another program).
wic_like() {
  set -e
  mkdir x w; zstd -qdc rootfs.tar.zst | tar -C x -xf -
  truncate -s 512M w/root.ext4; mkfs.ext4 -q -F -i 8192 -L root -d x w/root.ext4; fsck.ext4 -pfD w/root.ext4 || [ $? -eq 1 ]
  mkdosfs -n boot -C w/boot.vfat 131072; mcopy -i w/boot.vfat -s boot/* ::/
  truncate -s 64M w/data.ext4; mkfs.ext4 -q -F -i 8192 -L data w/data.ext4
  truncate -s 712M w/disk.img
  parted -s w/disk.img mklabel gpt mkpart boot fat32 4MiB 132MiB mkpart root ext4 132MiB 644MiB mkpart data ext4 644MiB 708MiB
  dd if=w/boot.vfat of=w/disk.img bs=1M seek=4 conv=notrunc,sparse; dd if=w/root.ext4 of=w/disk.img bs=1M seek=132 conv=notrunc,sparse
  dd if=w/data.ext4 of=w/disk.img bs=1M seek=644 conv=notrunc,sparse
  bmaptool -q create w/disk.img -o w/disk.img.bmap
}
export -f wic_like
before='rm -rf x w' measure "wic's steps with untar and bmaptool" bash -c wic_like
rm -rf x w
before='rm -rf x r.ext4' measure 'untar + mke2fs -d' bash -c 'mkdir x && zstd -qdc rootfs.tar.zst | tar -C x -xf - && truncate -s 512M r.ext4 && mke2fs -q -F -t ext4 -d x r.ext4'
rm -rf x r.ext4

echo; echo "squashfs, zstd (mksquashfs at its level 15, ours as it is), blocks of 128 KiB, from a tarball: the file system alone, and as the root of a disk image"
# The same job for both: the tree that our root holds, modules and supervisor in it, out of a .tar.zst (sqfstar of 4.5.1 takes no level).
cp -a rootfs same; tar -C same/usr --no-same-owner -xf deploy/modules-qemux86-64.tgz; install -D "$top/dist/linux-x64/supervisor" same/usr/lib/osbuild/supervisor
tar -C same --sort=name --format=posix --numeric-owner --owner=0 --group=0 -cf - . | zstd -q -3 -o same.tar.zst; rm -rf same
before='rm -f theirs.sqfs' measure 'mksquashfs -tar of the same tree' bash -c 'zstd -qdc same.tar.zst | mksquashfs - theirs.sqfs -tar -quiet -no-progress -comp zstd -Xcompression-level 15 -b 128K -processors "$(nproc)"'
before='rm -rf outs' measure 'image-builder --rootfs squashfs' bash -c 'build outs --rootfs squashfs'
ours=$("$top/dist/linux-x64/image-builder" inspect outs/*.img --json | grep -o '"name":"root-a"[^}]*' | grep -o '"used":[0-9]*' | cut -d: -f2)

echo; echo "compressed"
before='rm -f c.zst' measure 'zstd -T2 -3 of the finished image' zstd -q -T2 -3 finished.img -o c.zst
before='rm -rf outz' measure 'image-builder --compress zst' bash -c 'build outz --compress zst'

echo; echo "again"
before=: measure 'unchanged job' bash -c 'build out'
n=0; change() { n=$((n + 1)); echo "hostname: bench-$n" > config.yaml; }
before=change measure 'changed config' bash -c 'build out --config config.yaml'
loader() { n=$((n + 1)); echo "$n" >> deploy/systemd-bootx64.efi; }
before=loader measure 'changed boot file' bash -c 'build out --config config.yaml'

# What the process wrote, in bytes: the counters of a shell that waited for it.
written=$(rm -rf outw; bash -c 'build outw > /dev/null 2>&1; while read -r key value; do [ "$key" != wchar: ] || echo "$value"; done < /proc/$$/io')
allocated=$(($(du -k outw | cut -f1) << 10))

echo; echo "ratios"
ratio 'image-builder / (zstd -d + cp --sparse)' "${wall['image-builder (img + bmap with sha256)']}" "$(awk -v a="${wall['zstd -d']}" -v b="${wall['cp --sparse of the image']}" 'BEGIN { print a + b }')" '<= 2'
ratio 'genimage with untar / image-builder' "${wall['genimage with untar']}" "${wall['image-builder (img + bmap with sha256)']}" '>= 2.5'
ratio "wic's steps with untar / image-builder" "${wall["wic's steps with untar and bmaptool"]}" "${wall['image-builder (img + bmap with sha256)']}" '>= 6 for wic itself'
ratio 'bytes written / bytes allocated' "$written" "$allocated" '<= 1.02'
ratio 'image-builder --compress zst / zstd -T2 -3' "${wall['image-builder --compress zst']}" "${wall['zstd -T2 -3 of the finished image']}" '<= 1.3'
ratio 'size of .img.zst / zstd -T2 -3' "$(stat -c %s outz/*.zst)" "$(stat -c %s c.zst)" 'near 1'
ratio 'whole image with squashfs / mksquashfs of the same tree' "${wall['image-builder --rootfs squashfs']}" "${wall['mksquashfs -tar of the same tree']}" '<= 1'
ratio 'size of squashfs root / mksquashfs of the same tree' "$ours" "$(stat -c %s theirs.sqfs)" '0.98 to 1.02'
ratio 'changed config, seconds' "${wall['changed config']}" 1 '<= 0.2'
ratio 'changed boot file, seconds' "${wall['changed boot file']}" 1 '<= 0.2'
echo "  peak memory ${rss['image-builder (img + bmap with sha256)']} MiB (goal <= 100), with zst ${rss['image-builder --compress zst']} MiB, with squashfs ${rss['image-builder --rootfs squashfs']} MiB"
echo "  image $(stat -c %s "$image" | awk '{print $1/1048576}') MiB apparent, $(du -m "$image" | cut -f1) MiB allocated"
