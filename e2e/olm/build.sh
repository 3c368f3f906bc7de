#!/bin/sh
# Builds the programs of the Operator Lifecycle Manager and opm from Go modules into target/olm/bin, and puts OLM's chart
# beside them. The tests make images of them. When they are those of these sources already there is nothing to do.
set -eu

cd "$(dirname "$0")"
out=$(cd ../.. && pwd)/target/olm
begin=$(date +%s)

say() { echo "olm: [$(($(date +%s) - begin)) s] $*"; }
fail() {
	echo "olm: error: $*" >&2
	exit 1
}

hash=$(find . -type f ! -name '*_test.go' ! -name '*.md' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-12)
if [ "$(cat "$out/sources" 2>/dev/null)" = "$hash" ]; then
	say "up to date"
	exit 0
fi
command -v go >/dev/null || fail "go is missing: install Go 1.26.3 or later"
mkdir -p "$out/bin"
rm -f "$out/sources"

# The tags of opm's own build.
GO_TAGS=json1,netgo,osusergo,containers_image_openpgp
. ../go-flags.sh
say "Go modules: downloading those that are not in the module cache"
total=$(go list -deps tool ./cmd/... 2>/dev/null | wc -l)
say "Go build: $total packages, some five minutes on 2 cores when none is cached"
{ go build -v -ldflags '-s -w' -o "$out/bin/" tool ./cmd/... 2>&1 || echo 'go build: failed'; } | awk '
	/^[^ :#]+$/ { if (++n % 100 == 0) { print "olm: Go build: " n " packages compiled"; fflush() } next }
	/^go: downloading/ { next }
	/^go build: failed$/ { status = 1; next }
	{ print; fflush() }
	END { exit status }' || fail "go build failed"

rm -rf "$out/chart"
# The module cache is read-only, its copy is not to be.
cp -r "$(go list -m -f '{{.Dir}}' github.com/operator-framework/operator-lifecycle-manager)/deploy/chart" "$out/chart"
chmod -R u+w "$out/chart"
echo "$hash" >"$out/sources"
say "ready in target/olm"
