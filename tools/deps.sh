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
        # make is what the compiler runs the parts of link-time optimisation with.
        echo gcc libc6-dev make meson ninja-build pkg-config protobuf-c-compiler \
            libcrypt-dev libjansson-dev libnghttp2-dev libprotobuf-c-dev libssl-dev libyaml-dev
        ;;
    test) echo curl g++ git nghttp2-client openssl python3 python3-grpcio \
            python3-jsonschema python3-yaml strace ;;
    check) echo clang-format clang-tidy git python3 ;;
    demo) echo curl python3 ;;
    bench)
        # The libraries are those of the servers that are only unpacked.
        echo liblua5.3-0 libopentracing-c-wrapper0 libpcre2-8-0 nghttp2-client python3 strace util-linux wrk zlib1g
        ;;
    fuzz) echo clang libclang-rt-dev ;;
    *) die "no group of packages named $1" ;;
    esac
}

# Lines of "package file": the package is there when this file of it is. What is only compared with, an engine of
# containers that a test starts by itself, and llhttp, whose package would bring Node.js along.
peers_of() {
    case $1 in
    demo) engine ;;
    test)
        engine
        printf '%s\n' "busybox-static bin/busybox" "etcd-client usr/bin/etcdctl" "etcd-server usr/bin/etcd" \
            "node-llhttp usr/share/llhttp/llhttp.c" "prometheus usr/bin/promtool" \
            "python3-etcd3 usr/lib/python3/dist-packages/etcd3/__init__.py" \
            "python3-tenacity usr/lib/python3/dist-packages/tenacity/__init__.py"
        go_client
        ;;
    bench)
        engine
        printf '%s\n' "etcd-server usr/bin/etcd" "haproxy usr/sbin/haproxy" "nginx usr/sbin/nginx" \
            "node-llhttp usr/share/llhttp/llhttp.c"
        ;;
    fuzz) echo "node-llhttp usr/share/llhttp/llhttp.c" ;;
    build | check) ;;
    esac
}

# Docker's engine and its command line.
engine() {
    printf '%s\n' "containerd usr/bin/containerd" "docker.io usr/sbin/dockerd" "iptables usr/sbin/iptables" \
        "libdevmapper1.02.1 usr/share/doc/libdevmapper1.02.1/copyright" "runc usr/sbin/runc"
}

# etcd's Go client as Debian packages it, as sources for the GOPATH, and Go itself only where there is none.
go_client() {
    local sources=usr/share/gocode/src
    command -v go >/dev/null ||
        printf '%s\n' "golang-1.19-src usr/share/go-1.19/src/fmt/print.go" "golang-1.19-go usr/lib/go-1.19/bin/go"
    printf '%s\n' "golang-etcd-server-dev $sources/go.etcd.io/etcd/clientv3/client.go" \
        "golang-github-coreos-go-semver-dev $sources/github.com/coreos/go-semver/semver/semver.go" \
        "golang-github-coreos-go-systemd-dev $sources/github.com/coreos/go-systemd/journal/journal.go" \
        "golang-github-coreos-pkg-dev $sources/github.com/coreos/pkg/capnslog/init.go" \
        "golang-github-gogo-protobuf-dev $sources/github.com/gogo/protobuf/proto/lib.go" \
        "golang-github-golang-protobuf-1-5-dev $sources/github.com/golang/protobuf/proto/proto.go" \
        "golang-github-google-uuid-dev $sources/github.com/google/uuid/uuid.go" \
        "golang-golang-x-net-dev $sources/golang.org/x/net/http2/http2.go" \
        "golang-golang-x-sys-dev $sources/golang.org/x/sys/unix/syscall_unix.go" \
        "golang-golang-x-text-dev $sources/golang.org/x/text/doc.go" \
        "golang-google-genproto-dev $sources/google.golang.org/genproto/googleapis/rpc/status/status.pb.go" \
        "golang-google-grpc-dev $sources/google.golang.org/grpc/server.go" \
        "golang-google-protobuf-dev $sources/google.golang.org/protobuf/proto/proto.go" \
        "golang-go.uber-atomic-dev $sources/go.uber.org/atomic/bool.go" \
        "golang-go.uber-multierr-dev $sources/go.uber.org/multierr/error.go" \
        "golang-go.uber-zap-dev $sources/go.uber.org/zap/logger.go"
}

# Programs and pkg-config names of a group, to look for where there is no apt.
needs_of() {
    case $1 in
    build)
        echo cc make meson ninja pkg-config protoc-c pc:jansson pc:libcrypt pc:libnghttp2 pc:libprotobuf-c pc:openssl \
            pc:yaml-0.1
        ;;
    test) echo c++ curl git go h2load nghttp openssl promtool python3 strace ;;
    check) echo clang-format clang-tidy git python3 ;;
    demo) echo curl docker python3 ;;
    bench) echo etcd h2load haproxy nginx python3 strace taskset wrk ;;
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
quietly() {
    mkdir -p "$build"
    "$@" >"$build/apt.log" 2>&1 || {
        cat "$build/apt.log" >&2
        return 1
    }
}

may_install() {
    [ "$(id -u)" -eq 0 ] || [ ${#become_root[@]} -gt 0 ]
}

lists_updated=
# The package lists are fetched once in a run that needs something.
apt_update() {
    [ -z "$lists_updated" ] && may_install || return 0
    lists_updated=yes
    say "apt-get update"
    quietly "${become_root[@]}" apt-get -qq update
}

apt_install() {
    local package installed missing=()
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(packages_of "$1") 2>/dev/null || true)
    for package in $(packages_of "$1"); do
        grep -qx "installed $package" <<<"$installed" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    may_install || die "packages are missing and there is no sudo. As root, run:
    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    apt_update
    say "apt-get install ${missing[*]}"
    quietly "${become_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

# What compares with a peer that is not there says so and is skipped: no reason to stop here.
unpack_peers() {
    local package file
    while read -r package file; do
        [ -n "$package" ] && [ ! -e "/$file" ] && [ ! -e "$build/tools/$file" ] || continue
        apt_update
        say "unpacking $package into build/tools"
        unpack "$package" || say "$package cannot be had: going on without it"
    done <<<"$(peers_of "$1")"
}

unpack() {
    local download=$build/tools/download
    mkdir -p "$download"
    (cd "$download" && quietly apt-get -qq -o APT::Sandbox::User=root download "$1") &&
        dpkg -x "$download/$1"_*.deb "$build/tools" &&
        rm "$download/$1"_*.deb
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
