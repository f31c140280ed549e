//go:build linux

package network_test

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/netpold/netpold/test/reality/network"
)

// TestProbe proves the probe itself: it sees what is open, what is rejected, what is dropped, and that another
// server than the one asked answers.
func TestProbe(t *testing.T) {
	if _, err := exec.LookPath("iptables"); os.Getuid() != 0 || err != nil {
		t.Skip("it needs root and iptables")
	}
	if err := network.Permitted(t.Context()); err != nil {
		t.Skip(err)
	}
	threads := network.NewThreads(2)
	t.Cleanup(threads.Close)
	here, there := newNamespace(t, "here", threads), newNamespace(t, "there", threads)
	must(t, network.Connect(here, "eth0", there, "eth0"))
	must(t, here.IP("addr add 10.9.0.1/24 dev eth0", "addr add fd09::1/64 dev eth0 nodad"))
	must(t, there.IP("addr add 10.9.0.2/24 dev eth0", "addr add fd09::2/64 dev eth0 nodad"))
	echo, err := network.Listen(there, 80, 81, 82)
	must(t, err)
	t.Cleanup(echo.Close)
	for _, tables := range []string{"iptables", "ip6tables"} {
		for _, protocol := range []string{"tcp", "udp"} {
			run(t, there, tables, "-A", "INPUT", "-p", protocol, "--dport", "81", "-j", "REJECT")
			run(t, there, tables, "-A", "INPUT", "-p", protocol, "--dport", "82", "-j", "DROP")
		}
	}
	for _, address := range []string{"10.9.0.2", "fd09::2"} {
		for _, protocol := range []string{"tcp", "udp"} {
			for port, want := range map[uint16]bool{80: true, 81: false, 82: false, 83: false} {
				p := network.Probe{From: here, Protocol: protocol, Name: "there",
					To: netip.AddrPortFrom(netip.MustParseAddr(address), port)}
				if got, err := p.Opens(); err != nil || got != want {
					t.Errorf("%s %s: opens is %v (%v), want %v", protocol, p.To, got, err, want)
				}
				if p.Name = "elsewhere"; want {
					if _, err := p.Opens(); !errors.Is(err, network.ErrWrongEcho) {
						t.Errorf("%s %s: the error is %v, want that another server answered", protocol, p.To, err)
					}
				}
			}
		}
	}
}

func newNamespace(t *testing.T, name string, threads *network.Threads) *network.Namespace {
	t.Helper()
	n, err := network.NewNamespace(name, threads)
	must(t, err)
	t.Cleanup(func() { must(t, n.Close()) })
	return n
}

func run(t *testing.T, n *network.Namespace, program string, args ...string) {
	t.Helper()
	_, err := n.Run("", program, args...)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
