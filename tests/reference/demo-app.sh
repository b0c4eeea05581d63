#!/usr/bin/env bash
# Makes the demo app: a `docker save` archive with two images (demo-web:1, demo-clock:1) out of Debian's static busybox, and the
# compose file that runs them. No engine is needed: the archive is written by hand (Docker image specification v1.2).
# usage: demo-app.sh amd64|arm64 DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); top=$(cd "$here/../.." && pwd)
work=${OSBUILD_WORK:-$top/work}; mkdir -p "$work"
. "$here/debian.sh"
arch=$1 out=$2
[ -f "$out/demo.tar" ] && [ "$out/demo.tar" -nt "$0" ] && exit 0
apt_private; fetch_debs "$arch" busybox-static
stage=$work/stage-demo-$arch; rm -rf "$stage"; mkdir -p "$stage"/{busybox,root/bin,root/www/cgi-bin,root/data,root/tmp,archive} "$out"
unpack_debs "$arch" "$stage/busybox" busybox-static
cp "$stage/busybox/bin/busybox" "$stage/root/bin/busybox"
for applet in sh httpd wget cat date sleep mkdir echo uname hostname uptime sed cut; do ln -s busybox "$stage/root/bin/$applet"; done
cp "$here/demo-app/index.cgi" "$stage/root/www/cgi-bin/index.cgi"; chmod 755 "$stage/root/www/cgi-bin/index.cgi"
printf '<meta http-equiv="refresh" content="0; url=/cgi-bin/index.cgi">\n' > "$stage/root/www/index.html"

tar_plain() { tar --sort=name --format=ustar --mtime=@0 --numeric-owner --owner=0 --group=0 "$@"; }
layer=$stage/archive/layer.tar
tar_plain -C "$stage/root" -cf "$layer" .
diff_id=$(sha256sum "$layer" | cut -d' ' -f1)
mkdir "$stage/archive/$diff_id"; mv "$layer" "$stage/archive/$diff_id/layer.tar"

manifest=
image() { # NAME COMMAND-AS-JSON
  local config='{"architecture":"'$arch'","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["PATH=/bin"],"Cmd":'$2'},"rootfs":{"type":"layers","diff_ids":["sha256:'$diff_id'"]},"history":[{"created":"1970-01-01T00:00:00Z","comment":"OsBuild demo"}]}'
  local id; id=$(printf '%s' "$config" | sha256sum | cut -d' ' -f1)
  printf '%s' "$config" > "$stage/archive/$id.json"
  manifest+="${manifest:+,}"'{"Config":"'$id'.json","RepoTags":["'$1'"],"Layers":["'$diff_id'/layer.tar"]}'
}
image demo-web:1 '["httpd","-f","-p","8080","-h","/www"]'
image demo-clock:1 '["sh","-c","while :; do date -u +%FT%TZ > /data/now; sleep 1; done"]'
printf '[%s]' "$manifest" > "$stage/archive/manifest.json"
tar_plain -C "$stage/archive" -cf "$out/demo.tar" .
cp "$here/demo-app/compose.yaml" "$out/compose.yaml"
rm -rf "$stage"
