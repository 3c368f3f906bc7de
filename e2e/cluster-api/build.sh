#!/bin/sh
# Builds the image of Cluster API's controllers from Go modules, and writes their manifests to target/cluster-api.
# When the engine has the image of these sources already, and the manifests are there and their certificates not old,
# there is nothing to do.
set -eu

cd "$(dirname "$0")"
out=$(cd ../.. && pwd)/target/cluster-api
name=five-spot/cluster-api
begin=$(date +%s)

say() { echo "cluster-api: [$(($(date +%s) - begin)) s] $*"; }
fail() {
	echo "cluster-api: error: $*" >&2
	exit 1
}

version=$(sed -n 's/^\tsigs.k8s.io\/cluster-api \(v[0-9.]*\)$/\1/p' go.mod)
hash=$(find . -type f ! -name '*_test.go' ! -name '*.md' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-12)
manifests=$out/components-$hash.yaml

docker version >/dev/null 2>&1 || fail "no Docker engine answers (try 'just engine')"
mkdir -p "$out/image"
# The certificates in the manifests are valid for a year.
find "$out" -name 'components*.yaml' -mtime +300 -delete
if docker image inspect "$name:$hash" >/dev/null 2>&1 && [ -e "$manifests" ]; then
	docker tag "$name:$hash" "$name:$version"
	cp "$manifests" "$out/components.yaml"
	say "$name:$hash is up to date (also $name:$version)"
	exit 0
fi
command -v go >/dev/null || fail "go is missing: install Go 1.24 or later"

. ../go-flags.sh
say "Go modules: downloading those that are not in the module cache"
controllers="sigs.k8s.io/cluster-api sigs.k8s.io/cluster-api/bootstrap/kubeadm"
total=$(go list -deps $controllers ./cmd/... 2>/dev/null | wc -l)
say "Go build: $total packages, some four minutes on 2 cores when none is cached"
{ go build -v -ldflags '-s -w' -o "$out/image/" $controllers ./cmd/workload 2>&1 && go build -v -o "$out/" ./cmd/manifests 2>&1 || echo 'go build: failed'; } | awk '
	/^[^ :#]+$/ { if (++n % 100 == 0) { print "cluster-api: Go build: " n " packages compiled"; fflush() } next }
	/^go: downloading/ { next }
	/^go build: failed$/ { status = 1; next }
	{ print; fflush() }
	END { exit status }' || fail "go build failed"

say "image and manifests"
docker build --quiet --file Dockerfile --tag "$name:$hash" --tag "$name:$version" "$out/image" >/dev/null
"$out/manifests" -module "$(go list -m -f '{{.Dir}}' sigs.k8s.io/cluster-api)" -image "$name:$version" >"$manifests.part"
mv "$manifests.part" "$manifests"
cp "$manifests" "$out/components.yaml"
say "$name:$hash is ready (also $name:$version)"
