#!/usr/bin/env bash
# Builds the services that netpold is measured beside into bin/, each of one version, from its Go module with the
# versions of its own go.sum. What cannot be had is said loudly, and is not measured. From empty caches this takes tens
# of minutes.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p bin
export GOWORK=off CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false'

# The newest that Go 1.26.8 builds: cerbos 0.56 needs Go 1.27, spicedb 1.57.1 needs 1.26.9.
build() { # NAME MODULE@VERSION PACKAGE
	[ ! -x "bin/$1" ] || return 0
	echo "== Building $1 of $2" >&2
	dir=$(go mod download -json "$2" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
	if [ -z "$dir" ] || ! nice -n 15 go -C "$dir" build -o "$PWD/bin/$1" "$3"; then
		echo "*** ${1^^} IS NOT MEASURED: it cannot be built ***" >&2
	fi
}

build opa github.com/open-policy-agent/opa@v1.22.2 .
build openfga github.com/openfga/openfga@v1.22.1 ./cmd/openfga
build spicedb github.com/authzed/spicedb@v1.56.2 ./cmd/spicedb
build cerbos github.com/cerbos/cerbos@v0.55.0 ./cmd/cerbos
