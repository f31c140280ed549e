//go:build linux

package reality

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netpold/netpold/test/reality/network"
)

// tools are the programs that the network and the plugin need, with the packages of Debian that have them.
var tools = map[string]string{
	"ip": "iproute2", "iptables": "iptables", "ip6tables": "iptables", "ipset": "ipset", "nsenter": "util-linux",
}

// requireRoot skips the test where the machine cannot run it, and says what is missing. The Makefile says so too,
// at the end, where it is seen.
func requireRoot(tb testing.TB) {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Skip("NOT TESTED AGAINST REAL PACKETS: making network namespaces needs root")
	}
	missing := map[string]bool{}
	for program, of := range tools {
		if _, err := exec.LookPath(program); err != nil {
			missing[of] = true
		}
	}
	if len(missing) > 0 {
		var names []string
		for name := range missing {
			names = append(names, name)
		}
		tb.Skipf("NOT TESTED AGAINST REAL PACKETS: install %s", strings.Join(names, " "))
	}
	if err := network.Permitted(tb.Context()); err != nil {
		tb.Skipf("NOT TESTED AGAINST REAL PACKETS: this machine does not let root make network namespaces: %v", err)
	}
}
