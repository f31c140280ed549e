//go:build linux

package reality

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/netpold/netpold/test/reality/network"
)

// dialers is how many connections are opened at a time. Most of them wait for a refusal that does not come.
const dialers = 256

// A port is a destination port of a protocol.
type port struct {
	protocol string // "tcp" or "udp"
	number   uint16
}

// A connection is a question, and what can be tried for it.
type connection struct {
	src, dst *place
	family   int
	port     port
}

// String returns the connection as a message names it.
func (c connection) String() string {
	return fmt.Sprintf("%s (%s) -> %s (%s) %s %d", c.src.Name(), c.src.addrs[c.family], c.dst.Name(),
		c.dst.addrs[c.family], c.port.protocol, c.port.number)
}

func (c connection) probe() *network.Probe {
	return &network.Probe{
		From: c.src.Namespace, Protocol: c.port.protocol, Name: c.dst.Name(),
		To: netip.AddrPortFrom(c.dst.addrs[c.family], c.port.number),
	}
}

// try opens all connections, and returns which of them opened, in their order.
func try(list []connection) ([]bool, error) {
	opened, errs := make([]bool, len(list)), make([]error, len(list))
	var running sync.WaitGroup
	next := make(chan int)
	for range dialers {
		running.Go(func() {
			for i := range next {
				opened[i], errs[i] = list[i].probe().Opens()
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	running.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list[i], err)
		}
	}
	return opened, nil
}
