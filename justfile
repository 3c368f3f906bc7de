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
failover := "cargo run --quiet --locked -p five-spot-e2e --bin failover --"

[private]
default:
    @just --list --unsorted

# Start a cluster, break the leader, gate on the takeover time
[group('run')]
e2e *options: image cluster-image
    {{ failover }} run "$@"

# The harness with any arguments, such as --help
[group('run')]
failover *arguments: harness
    {{ failover }} "$@"

# What this machine lacks for the harness, with the fix
[group('run')]
doctor: harness
    {{ failover }} doctor

# All tests
[group('test')]
test: unit rules page-test node-test peer-test lease-manager-test cluster-api-test cluster-test

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
    cargo test --locked -p five-spot-e2e --lib page::browser -- --ignored

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

# Lints and tests of the operator with the crate kube-lease-manager
[group('test')]
lease-manager-test:
    cargo clippy --locked --manifest-path e2e/examples/kube-lease-manager/Cargo.toml --target-dir target/lease-manager --all-targets -- -D warnings
    cargo test --locked --manifest-path e2e/examples/kube-lease-manager/Cargo.toml --target-dir target/lease-manager

# Tests of what renders the manifests of Cluster API
[group('test')]
cluster-api-test:
    cd e2e/cluster-api && CGO_ENABLED=0 go vet -trimpath ./... && CGO_ENABLED=0 go test -trimpath ./...

# Tests on a real cluster, with operators broken on purpose
[group('test')]
cluster-test: image mutant-image peer-image lease-manager-image cluster-api-image cluster-image
    cargo test --locked -p five-spot-e2e --test '*'

# Format, lints, docs, dependencies, workflows, generated files
[group('check')]
check: fmt lint doc deny actions drift

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
    git diff --exit-code -- deploy/crd.yaml deploy/rbac.yaml deploy/fence.yaml e2e/report.schema.json e2e/failover.schema.json

# Write the CRD, RBAC, the fence, the README's metrics and the schemas of report and failover.toml
[group('build')]
generate:
    mkdir -p target
    for file in crd rbac fence; do cargo run --quiet --locked --bin five-spot -- $file > target/$file.yaml && mv target/$file.yaml deploy/$file.yaml; done
    cargo run --quiet --locked --bin five-spot -- metrics > target/metrics.md
    awk '/^<!-- metrics -->/ { print; while ((getline line < "target/metrics.md") > 0) print line; skip = 1 } /^<!-- \/metrics -->/ { skip = 0 } !skip' README.md > target/README.md && cat target/README.md > README.md
    {{ failover }} schema > target/report.schema.json && mv target/report.schema.json e2e/report.schema.json
    {{ failover }} schema --config > target/failover.schema.json && mv target/failover.schema.json e2e/failover.schema.json

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

# The cluster's image: k3s if it can be had, else the node
[group('build')]
cluster-image: engine
    {{ failover }} cluster-image --node-build e2e/node/build.sh

# A Docker engine; on Debian as root installed and started
[group('build')]
engine: harness
    {{ failover }} engine --start

# Remove what was built; stop the engine started here
[group('build')]
clean:
    -test -x target/debug/failover && target/debug/failover engine --stop
    cargo clean

# The harness itself, with its build shown
[private]
harness:
    cargo build --locked -p five-spot-e2e --bin failover

[private]
static-image tag features:
    @[ "$(uname -s)" = Linux ] || { echo 'just image: the static binary is linked on Linux; run this there or in a Linux container' >&2; exit 2; }
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --bin five-spot --features '{{ features }}' --target {{ host }} --target-dir target/static
    mkdir -p target/image && cp target/static/{{ host }}/release/five-spot target/image/five-spot
    docker build --quiet --file deploy/Dockerfile --tag {{ tag }} target/image

[private]
cargo-deny:
    @test -x target/tools/cargo-deny/bin/cargo-deny || { echo 'installing cargo-deny from crates.io into target/tools (once, some five minutes)'; cargo install cargo-deny --version 0.20.2 --locked --root target/tools/cargo-deny --target-dir target/tools/build; }

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

# Out of Debian's package, so that no Prometheus is installed, let alone started
[private]
promtool:
    @command -v promtool >/dev/null 2>&1 || test -x {{ tools }}/promtool/promtool || { \
        command -v apt-get >/dev/null 2>&1 || { echo 'just rules: promtool is missing; install Prometheus 2.42 or newer' >&2; exit 2; }; \
        echo 'unpacking promtool from the Debian package prometheus into {{ tools }} (once, some 20 MB)'; \
        mkdir -p {{ tools }}/promtool && cd {{ tools }}/promtool; \
        apt-get -q download prometheus || { [ "$(id -u)" = 0 ] && apt-get -q update && apt-get -q download prometheus; } \
            || { echo 'just rules: cannot download the package prometheus; install it, or promtool, by hand' >&2; exit 2; }; \
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -O ./usr/bin/promtool > promtool.new; \
        chmod +x promtool.new && mv promtool.new promtool && rm prometheus_*.deb; }
