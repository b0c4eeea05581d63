#!/usr/bin/env bash
# The one entry to everything: ./build.sh help
set -euo pipefail
top=$(cd "$(dirname "$0")" && pwd); cd "$top"
export OSBUILD_WORK=${OSBUILD_WORK:-$top/work} DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DEBIAN_FRONTEND=noninteractive
mkdir -p "$OSBUILD_WORK"
reference=$top/tests/reference

usage() {
  cat <<'EOF'
usage: ./build.sh COMMAND

  demo [BOARD] [--once]   from nothing to a page served by a container on a booted image (BOARD: qemux86-64, qemuarm64)
  deploy-dir BOARD        a reference bitbake deploy directory made of Debian packages, in work/deploy/BOARD
  publish [TARGET...]     the programs as single files in dist/ (TARGET: PROGRAM:RID, for example flasher:win-x64)
  test [SUITE...]         build and test everything (SUITE: unit, oracle, apps, system, engine, boards, guests, updates;
                          without one: unit, oracle, apps, system); ends with `N passed, N failed`
  bench [WHAT]            us and the peers side by side in one run (WHAT: builder, flasher)
  clean                   remove dist/ and work/
EOF
}

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# Installs Debian packages that are missing; asks sudo when not root.
need() {
  local missing=() package
  for package; do dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  local as_root=; [ "$(id -u)" = 0 ] || as_root=sudo
  $as_root apt-get update -qq
  $as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" > "$OSBUILD_WORK/apt.log" 2>&1 || { tail -n 20 "$OSBUILD_WORK/apt.log" >&2; exit 1; }
}

need_dotnet() {
  command -v dotnet >/dev/null && [[ "$(dotnet --version)" == 10.* ]] || { echo "error: the .NET 10 SDK is needed; install dotnet-sdk-10.0 and run again" >&2; exit 1; }
}

tools_publish=(clang lld llvm binutils zlib1g-dev)
tools_deploy=(zstd kmod binutils gzip tar coreutils apt)
tools_qemu=(qemu-system-x86 qemu-system-arm ovmf qemu-efi-aarch64 curl)
tools_judges=(e2fsprogs dosfstools mtools gdisk fdisk parted squashfs-tools bmap-tools zstd xz-utils bzip2 pigz zip unzip cpio attr acl
  docker.io docker-registry iptables tmux busybox-static cryptsetup-bin lvm2 mdadm btrfs-progs grub-common u-boot-tools libubootenv-tool chromium)

case ${1:-help} in
  demo)
    shift; need_dotnet; need "${tools_publish[@]}" "${tools_deploy[@]}" "${tools_qemu[@]}"
    exec "$reference/demo.sh" "$@" ;;
  deploy-dir)
    shift; need "${tools_deploy[@]}"; exec "$reference/deploy-dir.sh" "$@" ;;
  publish)
    shift; need_dotnet; need "${tools_publish[@]}" "${tools_deploy[@]}"; exec "$reference/publish.sh" "$@" ;;
  test)
    shift; need_dotnet; need "${tools_publish[@]}" "${tools_deploy[@]}" "${tools_qemu[@]}" "${tools_judges[@]}"
    exec "$reference/test.sh" "$@" ;;
  bench)
    shift; need_dotnet; need "${tools_publish[@]}" "${tools_deploy[@]}" "${tools_judges[@]}" genimage erofs-utils python3-minimal time
    exec "$reference/bench.sh" "$@" ;;
  clean) rm -rf dist work ;;
  help|-h|--help) usage ;;
  *) echo "error: no command '$1'" >&2; usage >&2; exit 2 ;;
esac
