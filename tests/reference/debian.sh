# Debian packages of either architecture, without touching the machine's own package state.
# Sourced; needs $work (a scratch directory). Gives: apt_private, unpack_debs ARCH DIRECTORY PACKAGE...

apt_private() { # [ARCH]   for amd64 and arm64; for another architecture its own lists, so that nobody else waits for them
  local c=$work/apt${1:+-$1} first=${1:-amd64} second=${1:-arm64}
  export APT_CONFIG=$c/apt.conf
  if [ ! -f "$c/apt.conf" ]; then
    mkdir -p "$c/state/lists/partial" "$c/cache/archives/partial" "$c/sources"
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then cp /etc/apt/sources.list.d/debian.sources "$c/sources/"
    else cp /etc/apt/sources.list "$c/sources/debian.list"; fi
    : > "$c/status"
    cat > "$c/apt.conf" <<EOF
Dir::State "$c/state";
Dir::State::status "$c/status";
Dir::Cache "$c/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$c/sources";
APT::Architecture "$first";
APT::Architectures { "$first"; "$second"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Debug::NoLocking "true";
EOF
  fi
  if [ ! -f "$c/updated" ] || [ -n "$(find "$c/updated" -mmin +1440)" ]; then
    apt-get update -qq && touch "$c/updated"
  fi
}

# The package a metapackage such as linux-image-cloud-amd64 stands for.
depends_first() { # ARCH PACKAGE
  apt-cache depends --important "$2:$1" | sed -n 's/^ *Depends: \(<\?\)\([^:<> ]*\).*/\2/p' | head -n 1
}

# Candidate versions of packages into the map $versions, in one question to apt (each costs a second).
declare -A versions=() any_arch=()
resolve() { # ARCH PACKAGE...
  local arch=$1 package ask=(); shift
  for package; do [ -n "${versions[$package:$arch]:-}" ] || ask+=("$package:$arch"); done
  [ ${#ask[@]} -gt 0 ] || return 0
  while read -r package version; do versions[${package%:*}:$arch]=$version; done < <(
    apt-cache policy "${ask[@]}" | awk '/^[^ ]/ { sub(/:$/, "", $1); p = $1 } /^  Candidate:/ { print p, $2 }')
  for package; do
    if [ "${versions[$package:$arch]:-(none)}" = "(none)" ]; then   # apt knows packages for all architectures only under its own
      versions[$package:$arch]=$(apt-cache policy "$package" | sed -n 's/^  Candidate: //p')
      any_arch[$package]=yes
    fi
    case ${versions[$package:$arch]:-(none)} in "(none)") echo "error: Debian has no package $package for $arch" >&2; return 1 ;; esac
  done
}

deb_file() { # ARCH PACKAGE
  local version=${versions[$2:$1]}
  compgen -G "$work/debs/${2}_${version//:/%3a}_*.deb" | grep -E "_($1|all)\.deb$" | head -n 1
}

fetch_debs() { # ARCH PACKAGE...   into $work/debs, skipping those already there
  local arch=$1 want=() package; shift
  mkdir -p "$work/debs"
  resolve "$arch" "$@"
  for package; do
    [ -n "$(deb_file "$arch" "$package")" ] || want+=("$package$([ -n "${any_arch[$package]:-}" ] || echo ":$arch")=${versions[$package:$arch]}")
  done
  [ ${#want[@]} -eq 0 ] || (cd "$work/debs" && apt-get download -qq "${want[@]}")
}

deb_version() { dpkg-deb -f "$(deb_file "$1" "$2")" Version; }

unpack_debs() { # ARCH DIRECTORY PACKAGE...
  local arch=$1 into=$2 package; shift 2
  fetch_debs "$arch" "$@"
  mkdir -p "$into"
  for package; do
    dpkg-deb --fsys-tarfile "$(deb_file "$arch" "$package")" | tar -x --keep-directory-symlink -C "$into"
  done
}
