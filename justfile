# All commands of the project. `just --list` shows them by group; `./justw` runs them where `just` is missing.
#
# A recipe with `[metadata('step', CLASS, SECONDS)]` can be run side by side with others by `.ci/steps`, which reads the
# dependencies here: what is in CLASS and how long it takes as a rule is told there. Recipes that begin with `need-` say
# what a machine lacks before anything is built.

set shell := ["sh", "-eu", "-c"]
set positional-arguments

version := `sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml`
image := "ghcr.io/finos/5spot-rs:v" + version
mutant := "five-spot/mutant:dev"
peer := "five-spot/client-go-peer:dev"
lease_manager := "five-spot/lease-manager-peer:dev"
kube_rs := "five-spot/kube-rs-peer:dev"
host := `rustc -vV | sed -n 's/^host: //p'`
tools := "target/tools"
opm_tags := "json1,netgo,osusergo,containers_image_openpgp"
generated := "deploy/crd.yaml deploy/rbac.yaml deploy/fence.yaml deploy/flow-schema.yaml docs/reference.md e2e/examples/kube-rs/deploy.yaml e2e/report.schema.json e2e/failover.schema.json README.md bundle"
bundle := "target/debug/bundle"
failover := "target/debug/failover"
steps := "exec target/steps/build/debug/steps '" + just_executable() + "'"
just := "'" + just_executable() + "'"
engine_answers := "docker version >/dev/null 2>&1"
apt_as_root := '{ [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }'
chromium := "{ command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable; } >/dev/null 2>&1"

[private]
default:
    @just --list --unsorted

# Start a cluster, break the leader, gate on the takeover time
[group('run')]
e2e *options: steps
    {{ steps }} e2e-steps
    {{ failover }} run "$@"

# The harness with any arguments, such as --help
[group('run')]
failover *arguments: harness
    {{ failover }} "$@"

# What this machine lacks, with the fix
[group('run')]
doctor: steps
    {{ steps }} needs
    @echo 'the builds and tests have what they need; what the harness needs follows, once it is built'
    {{ steps }} harness
    {{ failover }} doctor

# All tests
[group('test')]
test: steps
    {{ steps }} test-steps

# All tests that run on a cluster
[group('test')]
cluster-tests: steps
    {{ steps }} cluster-test-steps

# All checks
[group('check')]
check: steps
    {{ steps }} check-steps

# What CI runs: all checks and all tests
[group('check')]
ci: steps
    {{ steps }} ci-steps

[private]
e2e-steps: image cluster-image

[private]
test-steps: unit rules page-test node-test peer-test cluster-api-test olm-test bundle-push-test cluster-test-steps

[private]
cluster-test-steps: cluster-test failover-test machines-test e2e-olm

[private]
check-steps: fmt lint doc deny actions drift bundle-check bundle-validate

[private]
ci-steps: check-steps test-steps alone-steps

# Everything that any recipe needs of the machine.
[private]
needs: need-cc need-go need-engine need-cluster need-chromium need-packages

# Tests that need no cluster
[group('test')]
[metadata('step', 'rust', '150')]
unit: test-binaries
    cargo test --locked --workspace --lib --bins --test usage
    cargo test --locked --workspace --doc

# Every reader of foreign texts and objects, fed with anything, this many times
[group('test')]
fuzz cases='20000': need-cc
    PROPTEST_CASES={{ cases }} cargo test --quiet --locked -p five-spot --lib -- fuzz:: whatever_the_secret_holds

# Simulated elections: --seeds N, --from SEED, --mutants; a failure again: --seed S --trace
[group('test')]
sim *options: need-cc
    cargo run --quiet --locked --release -p lease-election --features sim,k8s-openapi/v1_33 --bin sim -- "$@"

# The report's page in a headless Chromium; pictures of it in target/page
[group('test')]
[metadata('step', 'rust', '20')]
page-test: test-binaries chromium
    cargo test --locked --workspace --lib page::browser -- --ignored

# The work on 10,000 objects: promotion, 1,000 edges in one second, 10 quiet minutes; --help for other sizes
[group('test')]
bench *options: need-cc
    cargo run --quiet --locked --release --features bench --bin bench -- "$@"

# Tests of the node image's entry point
[group('test')]
[metadata('step', 'go', '60')]
node-test: need-go
    cd e2e/node && . ../go-flags.sh && go vet ./internal/... && go test -v ./internal/...

# Tests of the operator that ours is compared with
[group('test')]
[metadata('step', 'go', '60')]
peer-test: need-go
    cd e2e/examples/client-go && . ../../go-flags.sh && go vet ./... && go test -v ./...

# Tests of the operator with the crate kube-lease-manager
[group('test')]
lease-manager-test: need-cc
    cargo test --locked --workspace --bin lease-manager-peer

# Tests of what renders the manifests of Cluster API
[group('test')]
[metadata('step', 'go', '60')]
cluster-api-test: need-go
    cd e2e/cluster-api && . ../go-flags.sh && go vet ./... && go test -v ./...

# Tests of what puts OLM together
[group('test')]
[metadata('step', 'go', '20')]
olm-test: olm
    cd e2e/olm && GO_TAGS={{ opm_tags }} && . ../go-flags.sh && go vet ./cmd/... && go test -v ./cmd/...

# A push to a real registry
[group('test')]
[metadata('step', 'rust', '10')]
bundle-push-test: test-binaries docker-registry
    PATH="$PWD/{{ tools }}/docker-registry:$PATH" BUNDLE_REGISTRY=docker-registry cargo test --locked --workspace --test push

# The rig: the contract of a started cluster, and what is left when things go wrong
[group('test')]
[metadata('step', 'cluster', '95')]
cluster-test: test-binaries image cluster-image
    cd e2e && ../target/tests/cluster

# Failover of our operator, of operators broken on purpose, and of foreign ones, side by side on four clusters
[group('test')]
[metadata('step', 'cluster', '600')]
failover-test: test-binaries image mutant-image peer-image lease-manager-image kube-rs-image cluster-image
    cd e2e && ../target/tests/failover --test-threads 6

# Machines that come and go by real Cluster API
[group('test')]
[metadata('step', 'cluster', '180')]
machines-test: test-binaries image cluster-image cluster-api-image
    cd e2e && ../target/tests/machines

# The operator as users of OLM have it: installed, upgraded, failed over and removed; its times are in target/olm/times.md
[group('test')]
[metadata('step', 'cluster', '130')]
e2e-olm: test-binaries image cluster-image olm
    cd e2e && ../target/tests/olm --nocapture
    cat target/olm/times.md

# Each of these recipes works as the first command after a clone; without names, all of them do (hours)
[group('test')]
alone *recipes: need-cc need-go
    .ci/alone "$@"

# The recipes that are quick enough for CI.
[private]
[metadata('step', 'other', '180')]
alone-steps: need-go
    .ci/alone fmt peer-test cluster-api-test node-test rules actions

# The format of the code
[group('check')]
[metadata('step', 'other', '5')]
fmt: need-cc
    cargo fmt --all --check

# Lints, as errors
[group('check')]
[metadata('step', 'rust', '150')]
lint: need-cc
    cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

# The docs build, and their links hold
[group('check')]
[metadata('step', 'rust', '40')]
doc: need-cc
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items

# Licences, bans and sources of all dependencies; and each has one set of features
[group('check')]
[metadata('step', 'other', '5')]
deny: cargo-deny features
    {{ tools }}/cargo-deny/bin/cargo-deny --locked check --hide-inclusion-graph bans licenses sources

# Dependencies have the same features in binaries and tests, and in the images; else they are compiled several times over
[group('check')]
[metadata('step', 'other', '5')]
features: need-cc
    .ci/features

# The workflows, and what they pass to each other
[group('check')]
[metadata('step', 'other', '5')]
actions: actionlint
    {{ tools }}/actionlint/actionlint

# Known vulnerabilities (fetches the advisory database)
[group('check')]
advisories: cargo-deny
    {{ tools }}/cargo-deny/bin/cargo-deny --locked check advisories

# Alerts fire when they should, and only then
[group('check')]
[metadata('step', 'other', '5')]
rules: promtool
    mkdir -p target/rules
    sed '1,/^spec:$/d; s/^  //' deploy/monitoring/alerts.yaml > target/rules/alerts.yaml
    {{ tools }}/promtool/promtool check rules target/rules/alerts.yaml
    {{ tools }}/promtool/promtool test rules deploy/monitoring/alerts.test.yaml

# What is generated is what is committed
[group('check')]
[metadata('step', 'rust', '5')]
drift: generate
    git diff --exit-code -- {{ generated }}
    @new=$(git ls-files --others --exclude-standard -- {{ generated }}); [ -z "$new" ] || { echo "just drift: generated and not committed: $new" >&2; exit 1; }

# Files that are as they should be are not touched: others read them meanwhile.
#
# Write the CRD and its reference, RBAC, the fence, the FlowSchema, the README's metrics, the schemas of report and failover.toml, and the bundle
[group('build')]
[metadata('step', 'rust', '5')]
generate: binaries
    #!/bin/sh
    set -eu
    out=target/generated
    mkdir -p $out
    put() { cmp -s "$1" "$2" || cp "$1" "$2"; }
    # The lines between <!-- NAME --> and <!-- /NAME --> of a file.
    part() {
        awk -v name="$1" -v text="$2" '
            $0 ~ "^<!-- " name " -->" { print; while ((getline line < text) > 0) print line; skip = 1 }
            $0 ~ "^<!-- /" name " -->" { skip = 0 }
            !skip' "$3" > $out/part
        put $out/part "$3"
    }
    for file in crd rbac fence flow-schema; do
        target/debug/five-spot $file > $out/$file.yaml
        put $out/$file.yaml deploy/$file.yaml
    done
    target/debug/kube-rs-peer manifests > $out/kube-rs.yaml
    put $out/kube-rs.yaml e2e/examples/kube-rs/deploy.yaml
    target/debug/five-spot metrics > $out/metrics.md
    part metrics $out/metrics.md README.md
    target/debug/five-spot reference > $out/reference.md
    put $out/reference.md docs/reference.md
    {{ failover }} schema > $out/report.schema.json
    put $out/report.schema.json e2e/report.schema.json
    {{ failover }} schema --config > $out/failover.schema.json
    put $out/failover.schema.json e2e/failover.schema.json
    {{ bundle }} generate
    {{ bundle }} rules > $out/rules.md
    part rules $out/rules.md bundle/README.md

# Our bundle keeps every rule of the checker
[group('check')]
[metadata('step', 'other', '5')]
bundle-check: binaries
    {{ bundle }} check bundle --previous "bundle/releases/$(sed -n 's/^replaces: //p' bundle/base/release.yaml)" --catalog bundle/catalog/catalog.yaml --strict

# Upstream's validators and opm find nothing in our bundles and in the catalog, but for bundle/validate/exceptions.json
[group('check')]
[metadata('step', 'other', '10')]
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

# The operator's image: one static binary, from scratch
[group('build')]
[metadata('step', 'service', '5')]
image: engine static-binary
    docker build --quiet --file deploy/Dockerfile --tag {{ image }} target/image

# The operator with deliberate faults, for tests
[group('build')]
[metadata('step', 'service', '5')]
mutant-image: engine mutant-binary
    docker build --quiet --file deploy/Dockerfile --tag {{ mutant }} target/mutant

# An operator with client-go's elector, to compare with
[group('build')]
[metadata('step', 'service', '5')]
peer-image: engine peer-binary
    docker build --quiet --file e2e/examples/client-go/Dockerfile --tag {{ peer }} target/peer

# An operator with the crate kube-lease-manager, to compare with
[group('build')]
[metadata('step', 'service', '5')]
lease-manager-image: engine lease-manager-binary
    docker build --quiet --file e2e/examples/kube-lease-manager/Dockerfile --tag {{ lease_manager }} target/lease-manager

# A kube-rs operator with lease-election, the elector of this operator as a library
[group('build')]
[metadata('step', 'service', '5')]
kube-rs-image: engine kube-rs-binary
    docker build --quiet --file e2e/examples/kube-rs/Dockerfile --tag {{ kube_rs }} target/kube-rs

# Cluster API's controllers for the tests of machines
[group('build')]
[metadata('step', 'go', '100')]
cluster-api-image: need-go engine
    e2e/cluster-api/build.sh

# The node image of upstream Kubernetes
[group('build')]
node: need-go need-cluster engine
    e2e/node/build.sh

# The Operator Lifecycle Manager and opm, from Go modules
[group('build')]
[metadata('step', 'go', '100')]
olm: need-go
    e2e/olm/build.sh

# The cluster's image: k3s if it can be had, else the node
[group('build')]
[metadata('step', 'go', '390')]
cluster-image: need-cluster engine
    {{ failover }} cluster-image --node-build e2e/node/build.sh

# A Docker engine; on Debian as root installed and started
[group('build')]
[metadata('step', 'service', '20')]
engine: need-engine harness
    {{ failover }} engine --start
    @[ -z "${FRESH:-}" ] || .ci/forget-images

# Remove what was built; stop the engine started here
[group('build')]
clean:
    -test -x target/debug/failover && target/debug/failover engine --stop
    cargo clean

# Compiled before anything else: two small crates and no more.
[private]
steps: need-cc
    @cargo build --quiet --locked -p five-spot-steps --target-dir target/steps/build

# Before the other binaries: the engine and the cluster's image wait for it.
[private]
[metadata('step', 'rust', '140')]
harness: need-cc
    cargo build --locked --package five-spot-e2e --bin failover

# All packages at once here and in the tests, as far as cargo chooses the features of dependencies by what is selected.
[private]
[metadata('step', 'rust', '50')]
binaries: harness
    cargo build --locked --workspace --bins

# Those on clusters run for minutes, and cargo would have every other command of cargo wait meanwhile or be waited for: so
# they are started by themselves, from target/tests.
[private]
[metadata('step', 'rust', '90')]
test-binaries: binaries
    @mkdir -p target/tests
    cargo test --locked --workspace --lib --bins --tests --no-run
    @for name in cluster failover machines olm; do \
        file=$(cargo test --quiet --locked --workspace --test $name --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | grep "/$name-"); \
        ln -sf "$file" target/tests/$name; \
    done

[private]
[metadata('step', 'static', '260')]
static-binary: need-linux need-cc
    @{{ just }} static five-spot '' image

[private]
[metadata('step', 'static', '60')]
mutant-binary: need-linux need-cc
    @{{ just }} static five-spot mutants mutant

[private]
[metadata('step', 'static', '40')]
lease-manager-binary: need-linux need-cc
    @{{ just }} static lease-manager-peer '' lease-manager

[private]
[metadata('step', 'static', '40')]
kube-rs-binary: need-linux need-cc
    @{{ just }} static kube-rs-peer '' kube-rs

[private]
[metadata('step', 'go', '120')]
peer-binary: need-go
    mkdir -p target/peer
    cd e2e/examples/client-go && . ../../go-flags.sh && go build -v -ldflags '-s -w' -o ../../../target/peer/client-go-peer .

# Paths of the builder are no part of it: its digest is pinned in the bundle, and others have other homes.
#
# A static release binary, put into target/FOLDER
[private]
static binary features folder:
    CARGO_ENCODED_RUSTFLAGS=$(printf '%s\037' -Ctarget-feature=+crt-static "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")"--remap-path-prefix=$PWD=/five-spot" cargo build --locked --release --package '{{ binary }}' --bin '{{ binary }}' --features '{{ features }}' --target {{ host }} --target-dir target/static
    @for path in "${CARGO_HOME:-$HOME/.cargo}" "$PWD"; do ! grep -qaF "$path/" 'target/static/{{ host }}/release/{{ binary }}' || { echo "just static: the binary names $path, and so would differ elsewhere" >&2; exit 1; }; done
    @mkdir -p 'target/{{ folder }}' && cp 'target/static/{{ host }}/release/{{ binary }}' 'target/{{ folder }}/{{ binary }}'

[private]
[metadata('step', 'other', '150')]
cargo-deny: need-cc
    @test -x {{ tools }}/cargo-deny/bin/cargo-deny || { echo 'installing cargo-deny from crates.io into target/tools (once, some three minutes)'; CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug cargo-deny --version 0.20.2 --locked --root {{ tools }}/cargo-deny --target-dir {{ tools }}/build; }

[private]
[metadata('step', 'go', '30')]
actionlint: need-go
    @test -x {{ tools }}/actionlint/actionlint || { \
        echo 'building actionlint as a Go module into {{ tools }}/actionlint (once)'; \
        . ./e2e/go-flags.sh; GOBIN="$PWD/{{ tools }}/actionlint" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7; }

# operator-framework/api and opm as Go modules
[private]
[metadata('step', 'go', '120')]
validators: need-go
    @echo 'compiling the validators and opm: some four minutes where nothing is cached'
    mkdir -p target/validate
    cd bundle/validate && . ../../e2e/go-flags.sh && go vet ./... && go test -v ./... && go build -o ../../target/validate/ .
    cd bundle/validate && GO_TAGS={{ opm_tags }} && . ../../e2e/go-flags.sh && go build -ldflags '-s -w' -o ../../target/validate/opm github.com/operator-framework/operator-registry/cmd/opm

[private]
[metadata('step', 'apt', '60')]
chromium: need-chromium
    @{{ chromium }} || { \
        echo 'installing the Debian package chromium (once, some 300 MB)'; \
        apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends chromium || { apt-get -q update && apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends chromium; }; }

[private]
[metadata('step', 'apt', '5')]
docker-registry: need-packages
    @{{ just }} unpacked docker-registry docker-registry 'some 5 MB'

[private]
[metadata('step', 'apt', '10')]
promtool: need-packages
    @{{ just }} unpacked 'prometheus promtool' promtool 'some 20 MB'

# One binary out of the first of these Debian packages that has it, so that no service is installed, let alone started;
# elsewhere the installed one
[private]
unpacked packages binary size:
    #!/bin/sh
    set -eu
    mkdir -p {{ tools }}/{{ binary }} && cd {{ tools }}/{{ binary }}
    [ ! -x {{ binary }} ] || exit 0
    if ! command -v apt-get >/dev/null 2>&1; then
        ln -sf "$(command -v {{ binary }})" {{ binary }}
        exit 0
    fi
    echo 'unpacking {{ binary }} from the Debian package {{ packages }} into {{ tools }} (once, {{ size }})'
    for package in {{ packages }}; do
        rm -f ./*.deb
        apt-get -q download "$package" || { [ "$(id -u)" = 0 ] && apt-get -q update && apt-get -q download "$package"; } || continue
        if dpkg-deb --fsys-tarfile ./*.deb | tar -x -O ./usr/bin/{{ binary }} >{{ binary }}.new; then
            chmod +x {{ binary }}.new && mv {{ binary }}.new {{ binary }} && rm ./*.deb
            exit 0
        fi
    done
    echo "just unpacked: cannot get {{ binary }} from the package {{ packages }}; run 'sudo apt-get update' and try again, or install it" >&2
    exit 2

[private]
[metadata('step', 'need', '0')]
need-linux:
    @[ "$(uname -s)" = Linux ] || { echo 'not Linux: the static binaries are linked on Linux; run this there or in a Linux container' >&2; exit 2; }

[private]
[metadata('step', 'need', '0')]
need-cc:
    @command -v cc >/dev/null 2>&1 || { echo 'no C compiler: install one (Debian: apt-get install gcc libc6-dev)' >&2; exit 2; }

# The newest that any of the modules asks for. Where it is newer than the installed one, Go itself may fetch it.
[private]
[metadata('step', 'need', '0')]
need-go:
    @cd bundle/validate && go version >/dev/null 2>&1 || { echo "no Go: install Go $(sed -n 's/^go //p' go.mod) or later" >&2; exit 2; }

[private]
[metadata('step', 'need', '0')]
need-engine:
    @{{ engine_answers }} || {{ apt_as_root }} || { [ "$(id -u)" = 0 ] && command -v dockerd >/dev/null 2>&1; } || { echo 'no Docker engine answers, and only root on Debian can install one here: start yours, or run this as root' >&2; exit 2; }

# k3s or the node image where it is there, k3s where it can be pulled, else what the node image is built with.
[private]
[metadata('step', 'need', '0')]
need-cluster:
    #!/bin/sh
    set -eu
    k3s=rancher/k3s:$(sed -n 's/^pub const K3S_TAG: &str = "\(.*\)";$/\1/p' e2e/rig/src/cluster/defaults.rs)
    if {{ engine_answers }}; then
        docker image inspect "$k3s" >/dev/null 2>&1 && exit 0
        e2e/node/build.sh --is-there && exit 0
    fi
    lacks=
    (cd e2e/node && go version >/dev/null 2>&1) || lacks="Go $(sed -n 's/^go //p' e2e/node/go.mod) or later"
    command -v mmdebstrap >/dev/null 2>&1 || {{ apt_as_root }} || lacks="${lacks:+$lacks and }the packages mmdebstrap and debian-archive-keyring"
    [ -n "$lacks" ] || exit 0
    if {{ engine_answers }}; then
        docker pull --quiet "$k3s" >/dev/null 2>&1 && exit 0
    fi
    echo "no image for a cluster: $k3s is not there and can't be pulled, and to build the node image instead, install $lacks" >&2
    exit 2

[private]
[metadata('step', 'need', '0')]
need-chromium:
    @{{ chromium }} || {{ apt_as_root }} || { echo 'no Chromium: install the package chromium, or Google Chrome' >&2; exit 2; }

[private]
[metadata('step', 'need', '0')]
need-packages:
    @command -v apt-get >/dev/null 2>&1 || { command -v promtool >/dev/null 2>&1 && command -v docker-registry >/dev/null 2>&1; } || { echo 'no apt-get to take promtool and docker-registry from: install both' >&2; exit 2; }
