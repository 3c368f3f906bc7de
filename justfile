# All commands of the project. `just --list` shows them by group; `./justw` runs them where `just` is missing.

set shell := ["sh", "-eu", "-c"]
set positional-arguments

version := `sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml`
image := "ghcr.io/finos/5spot-rs:v" + version
mutant := "five-spot/mutant:dev"
host := `rustc -vV | sed -n 's/^host: //p'`
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
test: unit node-test cluster-test

# Tests that need no cluster
[group('test')]
unit:
    cargo test --locked --workspace --lib --bins
    cargo test --locked --workspace --doc

# Tests of the node image's entry point
[group('test')]
node-test:
    cd e2e/node && go vet ./internal/... && go test ./internal/...

# Tests on a real cluster, with operators broken on purpose
[group('test')]
cluster-test: image mutant-image cluster-image
    cargo test --locked -p five-spot-e2e --test '*'

# Format, lints, docs, dependencies, generated files
[group('check')]
check: fmt lint doc deny drift

# The format of the code
[group('check')]
fmt:
    cargo fmt --all --check

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

# Known vulnerabilities (fetches the advisory database)
[group('check')]
advisories: cargo-deny
    target/tools/cargo-deny/bin/cargo-deny --locked check advisories

# What is generated is what is committed
[group('check')]
drift: generate
    git diff --exit-code -- deploy/crd.yaml e2e/report.schema.json

# Write the CRD and the report's schema
[group('build')]
generate:
    mkdir -p target
    cargo run --quiet --locked --bin five-spot -- crd > target/crd.yaml && mv target/crd.yaml deploy/crd.yaml
    {{ failover }} schema > target/report.schema.json && mv target/report.schema.json e2e/report.schema.json

# The operator's image: one static binary, from scratch
[group('build')]
image: engine (static-image image "")

# The operator with deliberate faults, for tests
[group('build')]
mutant-image: engine (static-image mutant "mutants")

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
