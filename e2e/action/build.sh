#!/bin/sh
# Builds the harness into a folder that is named after its sources, so that the same sources are built once.
#
#   build.sh              builds it, unless the folder has it already
#   build.sh --identify   prints `folder=...` and `identity=...`, as a step of a workflow gives its outputs
#
# HARNESS_SOURCE is the repository's folder (default: the one that this script is in), HARNESS_HOME where the folders are
# (default: ~/.cache/failover).
set -eu

source=${HARNESS_SOURCE:-}
[ -n "$source" ] || source=$(dirname "$0")/../..
[ -f "$source/e2e/Cargo.toml" ] || {
	echo "build.sh: HARNESS_SOURCE=$source: has no e2e/Cargo.toml" >&2
	exit 2
}
source=$(cd "$source" && pwd)
home=${HARNESS_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/failover}

# Everything that the binary is made of, and the toolchain that makes it.
identity=$(cd "$source" && find Cargo.toml Cargo.lock rust-toolchain.toml e2e/Cargo.toml e2e/src e2e/judging e2e/reports e2e/rig e2e/examples/5spot -type f |
	LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
folder=$home/$identity

case ${1:-} in
--identify)
	echo "folder=$folder"
	echo "identity=$identity"
	exit 0
	;;
"") ;;
*)
	echo "build.sh: $1: unknown argument; known: --identify" >&2
	exit 2
	;;
esac

[ ! -x "$folder/failover" ] || exit 0
command -v cargo >/dev/null 2>&1 || {
	echo "build.sh: cargo is missing: install rustup, which then gets the toolchain that rust-toolchain.toml names" >&2
	exit 2
}
# rustup gets the toolchain of rust-toolchain.toml where it is told to do so by the folder.
(cd "$source" && cargo build --locked -p five-spot-e2e --bin failover)
mkdir -p "$folder"
cp "${CARGO_TARGET_DIR:-$source/target}/debug/failover" "$folder/failover.new"
mv "$folder/failover.new" "$folder/failover"
echo "build.sh: $folder/failover" >&2
