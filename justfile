# All commands of the project. `just --list` shows them by group; `./justw` runs them where `just` is missing.

set shell := ["sh", "-eu", "-c"]
set positional-arguments

version := `sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml`
image := "ghcr.io/finos/5spot-rs:v" + version
mutant := "five-spot/mutant:dev"
peer := "five-spot/client-go-peer:dev"
lease_manager := "five-spot/lease-manager-peer:dev"
host := `rustc -vV | sed -n 's/^host: //p'`
tools := "target/tools"
generated := "deploy/crd.yaml deploy/rbac.yaml deploy/fence.yaml docs/reference.md e2e/report.schema.json e2e/failover.schema.json README.md bundle"
bundle := "target/debug/bundle"
failover := "target/debug/failover"

[private]
default:
    @just --list --unsorted

# Start a cluster, break the leader, gate on the takeover time
[group('run')]
e2e *options: image cluster-image
    {{ failover }} run "$@"

# The harness with any arguments, such as --help
[group('run')]
failover *arguments: binaries
    {{ failover }} "$@"

# What this machine lacks for the harness, with the fix
[group('run')]
doctor: binaries
    {{ failover }} doctor

# All tests
[group('test')]
test: unit rules page-test node-test peer-test lease-manager-test bundle-push-test cluster-test

# Tests that need no cluster
[group('test')]
unit:
    cargo test --locked --workspace --lib --bins
    cargo test --locked --workspace --doc

# Every reader of foreign texts and objects, fed with anything, this many times
[group('test')]
fuzz cases='20000':
    PROPTEST_CASES={{ cases }} cargo test --quiet --locked -p five-spot --lib -- fuzz:: whatever_the_secret_holds

# Simulated elections: --seeds N, --from SEED, --mutants; a failure again: --seed S --trace
[group('test')]
sim *options:
    cargo run --quiet --locked --release --features sim --bin sim -- "$@"

# The report's page in a headless Chromium; pictures of it in target/page
[group('test')]
page-test: chromium
    cargo test --locked --workspace --lib page::browser -- --ignored

# The work on 10,000 objects: promotion, 1,000 edges in one second, 10 quiet minutes; --help for other sizes
[group('test')]
bench *options:
    cargo run --quiet --locked --release --features bench --bin bench -- "$@"

# Tests of the node image's entry point
[group('test')]
node-test:
    cd e2e/node && go vet ./internal/... && go test ./internal/...

# With the flags of the build, so that the dependencies are compiled once for both.
#
# Tests of the operator that ours is compared with
[group('test')]
peer-test:
    cd e2e/examples/client-go && CGO_ENABLED=0 go vet -trimpath ./... && CGO_ENABLED=0 go test -trimpath ./...

# With the flags and the profile of the image, for the same reason.
#
# Lints and tests of the operator with the crate kube-lease-manager
[group('test')]
lease-manager-test:
    cargo clippy --locked --manifest-path e2e/examples/kube-lease-manager/Cargo.toml --target-dir target/lease-manager --all-targets -- -D warnings
    RUSTFLAGS='-C target-feature=+crt-static' cargo test --locked --release --manifest-path e2e/examples/kube-lease-manager/Cargo.toml --target {{ host }} --target-dir target/lease-manager

# Tests of what renders the manifests of Cluster API
[group('test')]
cluster-api-test:
    cd e2e/cluster-api && CGO_ENABLED=0 go vet -trimpath ./... && CGO_ENABLED=0 go test -trimpath ./...

# The operator's own image comes after the mutants': its binary, which the test with OLM packages, is to be the last one.
#
# Tests on a real cluster, with operators broken on purpose
[group('test')]
cluster-test: mutant-image image peer-image lease-manager-image cluster-image
    #!/bin/sh
    # The first tests mostly wait for leases to expire. What only the last two need is built meanwhile.
    set -eu
    last='machines olm'
    echo "building Cluster API and OLM beside the first tests, with a log in target/beside.log"
    # As a process group of its own, so that all that it starts ends with it.
    setsid nice -n 19 "{{ just_executable() }}" cluster-api-test cluster-api-image olm-test >target/beside.log 2>&1 &
    beside=$!
    trap 'kill -- -$beside 2>/dev/null || true' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    first=$(cd e2e/tests && ls -d *.rs */main.rs | sed 's/\.rs$//; s/\/main$//' | grep -vxF "$(printf '%s\n' $last)")
    cargo test --locked --workspace $(printf ' --test %s' $first)
    wait $beside || { cat target/beside.log; echo 'just cluster-test: Cluster API or OLM could not be built, see above' >&2; exit 1; }
    trap - EXIT
    cargo test --locked --workspace $(printf ' --test %s' $last)
    cat target/olm/times.md

# The operator as users of OLM have it: installed, upgraded, failed over and removed; its times are in target/olm/times.md
[group('test')]
e2e-olm: image cluster-image olm
    cargo test --locked --workspace --test olm -- --nocapture

# Tests of what puts OLM together, with the flags of the build
[group('test')]
olm-test: olm
    cd e2e/olm && export CGO_ENABLED=0 GOFLAGS='-trimpath -tags=json1,netgo,osusergo,containers_image_openpgp' && go vet ./cmd/... && go test ./cmd/...

# Format, lints, docs, dependencies, workflows, generated files, the bundle's rules
[group('check')]
check: fmt lint doc deny actions drift bundle-check bundle-validate

# The format of the code
[group('check')]
fmt:
    cargo fmt --all --check
    cargo fmt --manifest-path e2e/examples/kube-lease-manager/Cargo.toml --check

# Lints, as errors
[group('check')]
lint:
    cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

# The docs build, and their links hold
[group('check')]
doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items

# Licences, bans and sources of all dependencies
[group('check')]
deny: cargo-deny
    target/tools/cargo-deny/bin/cargo-deny --locked check --hide-inclusion-graph bans licenses sources

# The workflows, and what they pass to each other
[group('check')]
actions: actionlint
    {{ tools }}/actionlint/actionlint

# Known vulnerabilities (fetches the advisory database)
[group('check')]
advisories: cargo-deny
    target/tools/cargo-deny/bin/cargo-deny --locked check advisories

# Alerts fire when they should, and only then
[group('check')]
rules: promtool
    mkdir -p target/rules
    sed '1,/^spec:$/d; s/^  //' deploy/monitoring/alerts.yaml > target/rules/alerts.yaml
    PATH="$PWD/{{ tools }}/promtool:$PATH" promtool check rules target/rules/alerts.yaml
    PATH="$PWD/{{ tools }}/promtool:$PATH" promtool test rules deploy/monitoring/alerts.test.yaml

# What is generated is what is committed
[group('check')]
drift: generate
    git diff --exit-code -- {{ generated }}
    @new=$(git ls-files --others --exclude-standard -- {{ generated }}); [ -z "$new" ] || { echo "just drift: generated and not committed: $new" >&2; exit 1; }

# Write the CRD and its reference, RBAC, the fence, the README's metrics, the schemas of report and failover.toml, and the bundle
[group('build')]
generate: binaries
    mkdir -p target
    for file in crd rbac fence; do target/debug/five-spot $file > target/$file.yaml && mv target/$file.yaml deploy/$file.yaml; done
    target/debug/five-spot metrics > target/metrics.md
    awk '/^<!-- metrics -->/ { print; while ((getline line < "target/metrics.md") > 0) print line; skip = 1 } /^<!-- \/metrics -->/ { skip = 0 } !skip' README.md > target/README.md && cat target/README.md > README.md
    target/debug/five-spot reference > target/reference.md && mv target/reference.md docs/reference.md
    {{ failover }} schema > target/report.schema.json && mv target/report.schema.json e2e/report.schema.json
    {{ failover }} schema --config > target/failover.schema.json && mv target/failover.schema.json e2e/failover.schema.json
    {{ bundle }} generate
    {{ bundle }} rules > target/rules.md
    awk '/^<!-- rules -->/ { print; while ((getline line < "target/rules.md") > 0) print line; skip = 1 } /^<!-- \/rules -->/ { skip = 0 } !skip' bundle/README.md > target/README.md && cat target/README.md > bundle/README.md

# The images of operator, bundle and catalog as archives, each with a bill of materials; no engine is needed
[group('bundle')]
bundle-images *options: binaries static-binary
    {{ bundle }} images "$@"

# Write the digest of the operator's image into the bundle
[group('bundle')]
bundle-pin: binaries static-binary
    {{ bundle }} pin
    {{ bundle }} generate

# Push the images to a registry: just bundle-push localhost:5000 --plain-http
[group('bundle')]
bundle-push registry *options: binaries static-binary
    {{ bundle }} push "$@"

# Our bundle keeps every rule of the checker
[group('check')]
bundle-check: binaries
    {{ bundle }} check bundle --previous "bundle/releases/$(sed -n 's/^replaces: //p' bundle/base/release.yaml)" --catalog bundle/catalog/catalog.yaml --strict

# Upstream's validators and opm find nothing in our bundles and in the catalog, but for bundle/validate/exceptions.json
[group('check')]
bundle-validate: validators
    for bundle in bundle bundle/releases/*; do \
        rm -rf target/validate/bundle && mkdir target/validate/bundle; \
        cp -r "$bundle/manifests" "$bundle/metadata" target/validate/bundle/; \
        echo "$bundle"; \
        target/validate/validate bundle target/validate/bundle bundle/validate/exceptions.json; \
        target/validate/opm render target/validate/bundle --migrate-level=bundle-object-to-csv-metadata --alpha-image-ref-template image-of-the-bundle > target/validate/rendered.json; \
        target/validate/validate catalog bundle/catalog/catalog.yaml target/validate/rendered.json; \
    done
    rm -rf target/validate/catalog && mkdir target/validate/catalog && cp bundle/catalog/catalog.yaml target/validate/catalog/
    target/validate/opm validate target/validate/catalog

# A push to a real registry
[group('test')]
bundle-push-test: docker-registry
    PATH="$PWD/{{ tools }}/docker-registry:$PATH" BUNDLE_REGISTRY=docker-registry cargo test --locked --workspace --test push

# The operator's image: one static binary, from scratch
[group('build')]
image: engine (static-image image "")

# The operator with deliberate faults, for tests
[group('build')]
mutant-image: engine (static-image mutant "mutants")

# An operator with client-go's elector, to compare with
[group('build')]
peer-image: engine
    @command -v go >/dev/null || { echo 'just peer-image: go is missing: install Go 1.24 or later' >&2; exit 2; }
    @echo 'compiling the peer, package by package: some four minutes where none is cached'
    mkdir -p target/peer
    cd e2e/examples/client-go && CGO_ENABLED=0 go build -v -trimpath -buildvcs=false -ldflags '-s -w' -o ../../../target/peer/client-go-peer .
    docker build --quiet --file e2e/examples/client-go/Dockerfile --tag {{ peer }} target/peer

# An operator with the crate kube-lease-manager, to compare with
[group('build')]
lease-manager-image: engine
    @[ "$(uname -s)" = Linux ] || { echo 'just lease-manager-image: the static binary is linked on Linux; run this there or in a Linux container' >&2; exit 2; }
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --manifest-path e2e/examples/kube-lease-manager/Cargo.toml --target {{ host }} --target-dir target/lease-manager
    mkdir -p target/lease-manager/image && cp target/lease-manager/{{ host }}/release/lease-manager-peer target/lease-manager/image/
    docker build --quiet --file e2e/examples/kube-lease-manager/Dockerfile --tag {{ lease_manager }} target/lease-manager/image

# Cluster API's controllers for the tests of machines (some four minutes)
[group('build')]
cluster-api-image: engine
    e2e/cluster-api/build.sh

# The node image of upstream Kubernetes (some ten minutes)
[group('build')]
node: engine
    e2e/node/build.sh

# The Operator Lifecycle Manager and opm, from Go modules (some five minutes)
[group('build')]
olm:
    e2e/olm/build.sh

# The cluster's image: k3s if it can be had, else the node
[group('build')]
cluster-image: engine
    {{ failover }} cluster-image --node-build e2e/node/build.sh

# A Docker engine; on Debian as root installed and started
[group('build')]
engine: binaries
    {{ failover }} engine --start

# Remove what was built; stop the engine started here
[group('build')]
clean:
    -test -x target/debug/failover && target/debug/failover engine --stop
    cargo clean

# All packages at once here and in the tests: cargo chooses the features of dependencies by what is selected, and would
# compile most of them anew for each package by itself.
[private]
binaries:
    cargo build --locked --workspace --bins

# Paths of the builder are no part of it: its digest is pinned in the bundle, and others have other homes.
[private]
static-binary features="":
    @[ "$(uname -s)" = Linux ] || { echo 'just image: the static binary is linked on Linux; run this there or in a Linux container' >&2; exit 2; }
    CARGO_ENCODED_RUSTFLAGS=$(printf '%s\037' -Ctarget-feature=+crt-static "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")"--remap-path-prefix=$PWD=/five-spot" cargo build --locked --release --bin five-spot --features '{{ features }}' --target {{ host }} --target-dir target/static
    @for path in "${CARGO_HOME:-$HOME/.cargo}" "$PWD"; do ! grep -qaF "$path/" target/static/{{ host }}/release/five-spot || { echo "just image: the binary names $path, and so would differ elsewhere" >&2; exit 1; }; done
    mkdir -p target/image && cp target/static/{{ host }}/release/five-spot target/image/five-spot

[private]
static-image tag features: (static-binary features)
    docker build --quiet --file deploy/Dockerfile --tag {{ tag }} target/image

[private]
cargo-deny:
    @test -x target/tools/cargo-deny/bin/cargo-deny || { echo 'installing cargo-deny from crates.io into target/tools (once, some three minutes)'; CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug cargo-deny --version 0.20.2 --locked --root target/tools/cargo-deny --target-dir target/tools/build; }

[private]
actionlint:
    @test -x {{ tools }}/actionlint/actionlint || { \
        command -v go >/dev/null 2>&1 || { echo 'just actions: go is missing: install Go 1.24 or later' >&2; exit 2; }; \
        echo 'building actionlint as a Go module into {{ tools }}/actionlint (once, some two minutes)'; \
        GOBIN="$PWD/{{ tools }}/actionlint" CGO_ENABLED=0 go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7; }

[private]
chromium:
    @for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $name >/dev/null && exit 0; done; \
        command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || { echo 'just page-test: no Chromium: install the package chromium, or Google Chrome' >&2; exit 2; }; \
        echo 'installing the Debian package chromium (once, some 300 MB)'; \
        apt-get -q install -y --no-install-recommends chromium || { apt-get -q update && apt-get -q install -y --no-install-recommends chromium; }

# operator-framework/api and opm as Go modules
[private]
validators:
    @command -v go >/dev/null || { echo 'just bundle-validate: go is missing: install Go 1.26 or later' >&2; exit 2; }
    @echo 'compiling the validators and opm: some four minutes where nothing is cached'
    mkdir -p target/validate
    cd bundle/validate && CGO_ENABLED=0 go vet -trimpath ./... && CGO_ENABLED=0 go test -trimpath ./...
    cd bundle/validate && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o ../../target/validate/ .
    cd bundle/validate && CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags json1,netgo,osusergo,containers_image_openpgp -ldflags '-s -w' -o ../../target/validate/opm github.com/operator-framework/operator-registry/cmd/opm

[private]
docker-registry:
    @command -v docker-registry >/dev/null 2>&1 || "{{ just_executable() }}" unpacked bundle-push-test docker-registry docker-registry 'some 5 MB'

[private]
promtool:
    @command -v promtool >/dev/null 2>&1 || "{{ just_executable() }}" unpacked rules prometheus promtool 'some 20 MB'

# One binary out of a Debian package, so that no service is installed, let alone started
[private]
unpacked recipe package binary size:
    @test -x {{ tools }}/{{ binary }}/{{ binary }} || { \
        command -v apt-get >/dev/null 2>&1 || { echo 'just {{ recipe }}: {{ binary }} is missing, and there is no apt-get to take it from the package {{ package }}' >&2; exit 2; }; \
        echo 'unpacking {{ binary }} from the Debian package {{ package }} into {{ tools }} (once, {{ size }})'; \
        mkdir -p {{ tools }}/{{ binary }} && cd {{ tools }}/{{ binary }}; \
        apt-get -q download {{ package }} || { [ "$(id -u)" = 0 ] && apt-get -q update && apt-get -q download {{ package }}; } \
            || { echo 'just {{ recipe }}: cannot download the package {{ package }}; install it, or {{ binary }}, by hand' >&2; exit 2; }; \
        dpkg-deb --fsys-tarfile {{ package }}_*.deb | tar -x -O ./usr/bin/{{ binary }} > {{ binary }}.new; \
        chmod +x {{ binary }}.new && mv {{ binary }}.new {{ binary }} && rm {{ package }}_*.deb; }
