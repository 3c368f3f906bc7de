#!/bin/sh
# Builds the node image: upstream Kubernetes and CoreDNS from Go modules, containerd and runc from Debian packages.
# The image is named by a hash of this directory's sources; when the engine has that image there is nothing to do.
# Everything in between is kept in target/node and in Go's own build cache.
set -eu

cd "$(dirname "$0")"
sources=$PWD
out=$(cd ../.. && pwd)/target/node
name=five-spot/node
suite=bookworm # Debian 12
begin=$(date +%s)

say() { echo "node image: [$(($(date +%s) - begin)) s] $*"; }
fail() {
	echo "node image: error: $*" >&2
	exit 1
}
digest() { sha256sum | cut -c1-12; }

version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' go.mod)
hash=$(find . -type f ! -name '*_test.go' ! -name '*.md' | LC_ALL=C sort | xargs sha256sum | digest)

# With --is-there, says by its exit code whether there is anything to build.
if [ "${1:-}" = --is-there ]; then
	docker image inspect "$name:$hash" >/dev/null 2>&1
	exit
fi

docker version >/dev/null 2>&1 || fail "no Docker engine answers (try 'just engine')"
if docker image inspect "$name:$hash" >/dev/null 2>&1; then
	docker tag "$name:$hash" "$name:$version"
	say "$name:$hash is up to date (also $name:$version)"
	exit 0
fi
command -v go >/dev/null || fail "go is missing: install Go 1.24 or later"
mkdir -p "$out/bin"

# Everything that can be missing is found before the long build.
need_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	command -v apt-get >/dev/null || fail "mmdebstrap is missing, and there is no apt-get to install it: build on Debian or Ubuntu"
	[ "$(id -u)" = 0 ] || fail "mmdebstrap is missing: run 'sudo apt-get install mmdebstrap debian-archive-keyring'"
	say "installing the packages mmdebstrap and debian-archive-keyring with apt-get"
	{ apt-get update && apt-get -o DPkg::Lock::Timeout=600 install -y mmdebstrap debian-archive-keyring; } >"$out/apt.log" 2>&1 ||
		fail "apt-get install mmdebstrap failed: $(tail -n 5 "$out/apt.log")"
}

# Root file system: depends on the list of packages alone.
rootfs=$out/rootfs-$suite-$(digest <rootfs/packages).tar
make_rootfs() {
	say "root file system: downloading Debian packages ($(paste -sd' ' rootfs/packages) and what they need)"
	# Packages are only unpacked, none is configured; merged-usr puts /bin into /usr/bin.
	mmdebstrap --variant=extract --format=tar --skip=output/dev --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
		--include="$(paste -sd, rootfs/packages)" "$suite" "$rootfs.part" >"$out/rootfs.log" 2>&1 ||
		fail "mmdebstrap failed: $(tail -n 5 "$out/rootfs.log")"
	mv "$rootfs.part" "$rootfs"
	say "root file system: done"
}
rootfs_pid=
if [ -e "$rootfs" ]; then
	say "root file system: cached"
else
	need_mmdebstrap
	make_rootfs &
	rootfs_pid=$!
fi

# Binaries. `go build -v` prints each package that it compiles; cached ones are not printed.
. ../go-flags.sh
say "Go modules: downloading those that are not in the module cache (about 100 MB in all)"
total=$(go list -deps ./cmd/... 2>&1 | awk '
	/^go: downloading/ { if (++n % 50 == 0) print "node image: Go modules: " n " downloaded" >"/dev/stderr"; next }
	/^go: / { print >"/dev/stderr"; next }
	{ total++ }
	END { print total + 0 }')
say "Go build: $total packages, about 8 minutes on 2 cores when none is cached"
stamp=k8s.io/component-base/version
minor=${version#v1.}
flags="-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*} -X $stamp.gitTreeState=clean"
progress=$out/progress
rm -f "$progress"
mkfifo "$progress"
awk -v total="$total" -v begin="$begin" '
	function elapsed() { srand(); return srand() - begin } # srand() gives the last seed, which is the time of day
	/^[^ :#]+$/ {
		if (++n % 100 == 0) { print "node image: [" elapsed() " s] Go build: " n " of at most " total " packages compiled"; fflush() }
		next
	}
	{ print; fflush() }' <"$progress" &
progress_pid=$!
status=0
go build -v -ldflags "$flags" -o "$out/bin/" ./cmd/... 2>"$progress" || status=$?
wait "$progress_pid"
rm -f "$progress"
[ "$status" = 0 ] || fail "go build failed"
say "Go build: done"

[ -z "$rootfs_pid" ] || wait "$rootfs_pid" || fail "no root file system"
say "image: writing and loading into the engine"
"$out/bin/image" -rootfs "$rootfs" -binaries "$out/bin" -work "$out/layers" -tags "$name:$hash,$name:$version" | docker load >/dev/null
docker image inspect "$name:$hash" >/dev/null 2>&1 || fail "the engine did not take the image"
say "$name:$hash is ready (also $name:$version)"
