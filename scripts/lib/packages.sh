# shellcheck shell=bash
# The Debian packages Larder needs, in groups, and how they are installed. To be sourced.
#   larder_install GROUP…   installs what is missing of these groups; touches the network only if something is

declare -gA LARDER_PACKAGES=(
  [build]="build-essential cmake ninja-build ccache mold pkg-config
    libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libabsl-dev
    prometheus-cpp-dev libcpp-httplib-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev
    libisal-dev libssl-dev librocksdb-dev python3"
  [test]="libgtest-dev libgmock-dev redis-server prometheus python3 python3-yaml"
  [check]="clang-format-16 clang-16 clang-tidy-16 black shellcheck protobuf-compiler python3-protobuf python3-yaml prometheus"
  [coverage]="gcovr"
  [bench]="redis-server memcached nginx-light etcd-server python3-yaml"
  [fuzz]="clang-16 libclang-rt-16-dev"
)
# Packages whose daemons must not run because of us, with their units: they are started by the tests and benchmarks that
# need them.
declare -gA LARDER_DAEMONS=(
  [redis-server]=redis-server [memcached]=memcached [nginx-light]=nginx [etcd-server]=etcd
  [prometheus]=prometheus
)

# The oldest Rust that builds the Raft engine (rust-version in libs/raft/engine/Cargo.toml). A rustup's serves as well as
# Debian's, which come from its security updates; the two packages cannot stand beside each other's rustc.
LARDER_RUST=1.85
LARDER_RUST_PACKAGES="cargo-web rustc-web"

larder_has_rust() {
  local version
  version=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
  [[ -n $version ]] && command -v rustc >/dev/null && printf '%s\n' "$LARDER_RUST" "$version" | sort -C -V
}

larder_missing_packages() {
  local group package
  for group in "$@"; do
    # shellcheck disable=SC2086 # two words
    if [[ $group == build ]] && ! larder_has_rust; then printf '%s\n' $LARDER_RUST_PACKAGES; fi
    for package in ${LARDER_PACKAGES[$group]:?no such package group}; do
      # "ii": wanted and installed
      [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || printf '%s\n' "$package"
    done
  done | sort -u
}

larder_as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

larder_apt() {
  larder_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Runs a command while packages may not start services (Debian's policy-rc.d interface, with or without systemd).
larder_without_daemons() (
  policy=/usr/sbin/policy-rc.d aside=/usr/sbin/policy-rc.d.before-larder
  # shellcheck disable=SC2317 # called by the trap
  restore() {
    if [[ -e $aside ]]; then larder_as_root mv -f "$aside" "$policy"; else larder_as_root rm -f "$policy"; fi
  }
  if [[ -e $policy && ! -e $aside ]]; then larder_as_root mv "$policy" "$aside"; fi
  trap restore EXIT
  printf '#!/bin/sh\nexit 101\n' | larder_as_root tee "$policy" >/dev/null
  larder_as_root chmod 755 "$policy"
  "$@"
)

larder_install() {
  local -a missing daemons=()
  local package install=larder_apt
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "larder: packages: this is no Debian system (Debian 12 is what Larder is built on)" >&2
    return 1
  fi
  mapfile -t missing < <(larder_missing_packages "$@")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    echo "larder: packages: missing, and neither root nor sudo (as root: apt-get install ${missing[*]})" >&2
    return 1
  fi
  for package in "${missing[@]}"; do
    if [[ -n ${LARDER_DAEMONS[$package]:-} ]]; then
      daemons+=("${LARDER_DAEMONS[$package]}")
      install="larder_without_daemons larder_apt"
    fi
  done
  echo "installing ${#missing[@]} packages: ${missing[*]}"
  larder_apt update >/dev/null || echo "larder: packages: apt-get update failed; trying with the lists that are here" >&2
  # shellcheck disable=SC2086 # two words
  if ! $install install --no-install-recommends "${missing[@]}" >/dev/null; then
    echo "larder: packages: apt-get could not install them (try: apt-get install ${missing[*]})" >&2
    return 1
  fi
  # Nor at the next boot.
  if ((${#daemons[@]})) && [[ -d /run/systemd/system ]]; then
    larder_as_root systemctl --quiet disable --now "${daemons[@]}" || true
  fi
}
