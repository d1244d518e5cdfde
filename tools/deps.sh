# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The packages that each group of commands needs, and how they come onto the machine. Read by `dev`.
#
# Servers that tests and benches only compare with are not installed, since their packages would start them as
# services: they are downloaded and unpacked into build/tools, which needs no root.

packages_of() {
    case $1 in
    build)
        echo gcc libc6-dev meson ninja-build pkg-config libcyaml-dev libjansson-dev libnghttp2-dev libssl-dev
        ;;
    test) echo g++ git nghttp2-client openssl python3 ;;
    check) echo clang-format clang-tidy git python3 ;;
    bench) echo libpcre2-8-0 nghttp2-client python3 zlib1g ;;
    fuzz) echo clang libclang-rt-14-dev ;;
    *) die "no group of packages named $1" ;;
    esac
}

# Lines of "package file": the package is there when this file of it is.
peers_of() {
    case $1 in
    test) echo "prometheus usr/bin/promtool" ;;
    bench) echo "nginx usr/sbin/nginx" ;;
    fuzz | build | check) ;;
    esac
}

# Programs and pkg-config names of a group, to look for where there is no apt.
needs_of() {
    case $1 in
    build) echo cc meson ninja pkg-config pc:libcyaml pc:jansson pc:libnghttp2 pc:openssl ;;
    test) echo c++ git h2load openssl python3 promtool ;;
    check) echo clang-format clang-tidy git python3 ;;
    bench) echo h2load nginx python3 ;;
    fuzz) echo clang ;;
    esac
}

become_root=()
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
    become_root=(sudo)
fi

# deps GROUP...
deps() {
    local group
    for group in "$@"; do
        if command -v apt-get >/dev/null; then
            apt_install "$group"
            unpack_peers "$group"
        else
            look_for "$group"
        fi
    done
}

# Runs a command whose output matters only when it fails.
apt_quiet() {
    mkdir -p "$build"
    "$@" >"$build/apt.log" 2>&1 || { cat "$build/apt.log" >&2; return 1; }
}

# Package lists are fetched when there are none, or when they are older than a day.
apt_update() {
    local fresh
    fresh=$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 -print -quit 2>/dev/null)
    [ -n "$fresh" ] && [ "${1:-}" != --now ] && return
    say "apt-get update"
    apt_quiet "${become_root[@]}" apt-get -qq update
}

apt_install() {
    local package installed missing=()
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(packages_of "$1") 2>/dev/null || true)
    for package in $(packages_of "$1"); do
        grep -qx "installed $package" <<<"$installed" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] && [ ${#become_root[@]} -eq 0 ]; then
        die "packages are missing and there is no sudo. As root, run:
    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    fi
    apt_update
    say "apt-get install ${missing[*]}"
    # Lists that were fresh enough by date may still name versions that are gone.
    apt_get_install "${missing[@]}" 2>/dev/null || { apt_update --now && apt_get_install "${missing[@]}"; }
}

apt_get_install() {
    apt_quiet "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"
}

unpack_peers() {
    local package file
    peers_of "$1" | while read -r package file; do
        command -v "$(basename "$file")" >/dev/null && continue
        say "unpacking $package into build/tools"
        mkdir -p "$build/tools/download"
        apt_update
        (
            cd "$build/tools/download"
            apt_quiet apt-get -qq -o APT::Sandbox::User=root download "$package"
            dpkg -x "$package"_*.deb ..
            rm "$package"_*.deb
        )
    done
}

# Without apt: say what is not there, and leave it to what follows whether it can do without.
look_for() {
    local need missing=()
    for need in $(needs_of "$1"); do
        case $need in
        pc:*) pkg-config --exists "${need#pc:}" 2>/dev/null || missing+=("${need#pc:} (headers)") ;;
        *) command -v "$need" >/dev/null || missing+=("$need") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    printf 'dev: no apt-get here. To %s, install with this system'\''s package manager:\n' "$1" >&2
    printf '    %s\n' "${missing[@]}" >&2
    printf 'On Debian they come from: %s\n' "$(packages_of "$1")" >&2
}
