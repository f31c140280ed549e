#!/usr/bin/env bash
# Makes a kind cluster, installs netpold from this checkout with the Helm chart, and asks it two questions.
# "make kind" runs it. Remove the cluster with: kind delete cluster --name netpold
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cluster=${KIND_CLUSTER:-netpold}
port=${NETPOLD_PORT:-9480}
image=netpold:kind

missing=()
for tool in docker kind kubectl helm go; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
	echo "make kind needs ${missing[*]}, which cannot be found: install it, or serve manifests instead with 'make run'." >&2
	exit 1
fi
if ! docker info >/dev/null 2>&1; then
	echo "make kind needs a running Docker daemon, and 'docker info' fails: start it, or serve manifests instead with 'make run'." >&2
	exit 1
fi

step() { printf '\n== %s\n' "$*"; }
on_cluster() { kubectl --context "kind-$cluster" "$@"; }

if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
	step "The cluster $cluster is there already"
else
	step "Making the cluster $cluster, in a minute or two"
	kind create cluster --name "$cluster" --config examples/kind/kind.yaml --wait 3m
fi

step "Building the image and loading it"
docker build --quiet -f deploy/Dockerfile -t "$image" .
kind load docker-image "$image" --name "$cluster"

step "Installing netpold"
helm upgrade --install netpold deploy/helm/netpold --kube-context "kind-$cluster" --namespace netpold --create-namespace \
	--set image.repository=netpold,image.tag=kind,insecure=true --wait --timeout 3m

step "Applying a small shop"
on_cluster apply -f examples/kind/shop.yaml
on_cluster -n shop rollout status deployment/frontend --timeout 3m
on_cluster -n shop rollout status deployment/cart --timeout 3m

step "Asking: may frontend, and may netpold itself, reach the Service cart?"
go build -o bin/netpold ./cmd/netpold
on_cluster -n netpold port-forward service/netpold "$port:9480" >/dev/null &
forward=$!
trap 'kill "$forward" 2>/dev/null || true' EXIT
for _ in $(seq 50); do
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
	sleep 0.2
done
ask() {
	echo "\$ netpold check $* --server 127.0.0.1:$port"
	# The exit code 1 is "denied", which is an answer; 2 is an error.
	bin/netpold check "$@" --server "127.0.0.1:$port" || (($? == 1))
}
ask deploy/shop/frontend svc/shop/cart -p 80
ask deploy/netpold/netpold svc/shop/cart -p 80

step "Done. 'kind delete cluster --name $cluster' removes it all."
