//go:build linux

package network

import (
	"context"
	"fmt"
	"os/exec"
)

// attempt does in a network namespace of its own what the tests do, and ends with it.
const attempt = `ip link add dev veth-a type veth peer name veth-b &&
	echo 1 > /proc/sys/net/ipv4/ip_forward && echo 1 > /proc/sys/net/ipv6/conf/all/forwarding &&
	iptables -w -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT && ip6tables -w -A FORWARD -j DROP &&
	ipset create set-a hash:net timeout 0`

// Permitted returns an error if this machine does not let root make network namespaces with rules in them, as a container
// with few rights does not.
func Permitted(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, "unshare", "--net", "sh", "-c", attempt).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unshare --net: %w: %s", err, output)
	}
	return nil
}
