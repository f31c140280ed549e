//go:build linux

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// A Conn is a connection, of TCP or UDP, to an Echo.
type Conn struct {
	net.Conn
	// to is the name of the Echo that must answer.
	to string
}

// word is what an Echo is sent.
const word = "hello"

// ErrWrongEcho means that something else answered than was to be asked.
var ErrWrongEcho = errors.New("another server answered")

// Dial opens a connection from n to an address of the Echo called name, and has it answer once.
func Dial(n *Namespace, protocol string, to netip.AddrPort, name string, within time.Duration) (*Conn, error) {
	c := &Conn{to: name}
	err := n.Do(func() (err error) {
		c.Conn, err = (&net.Dialer{Timeout: within}).Dial(protocol, to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.Ask(within); err != nil {
		c.Close() //nolint:errcheck,gosec // it is of no use
		return nil, err
	}
	return c, nil
}

// Ask has the Echo answer once.
func (c *Conn) Ask(within time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := c.Write([]byte(word)); err != nil {
		return err
	}
	buffer := make([]byte, 64)
	n, err := c.Read(buffer)
	if err != nil {
		return err
	}
	if got := string(buffer[:n]); got != c.to+" "+word {
		return fmt.Errorf("%w: %q in place of %q", ErrWrongEcho, strings.TrimSuffix(got, " "+word), c.to)
	}
	return nil
}

// reset closes a TCP connection without leaving a port waiting, of which thousands of connections would run out.
func (c *Conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close() //nolint:errcheck,gosec // nothing is lost
}

// A Probe is a connection to try.
type Probe struct {
	From     *Namespace
	Protocol string // "tcp" or "udp"
	To       netip.AddrPort
	Name     string // of the Echo at To
}

// Opens reports whether the connection opens and is answered. A refusal is believed once it has come twice, and
// silence once it has lasted for two limits, the second one longer. Silence is common: the kernel forgets a refusal
// of IPv6 that arrives while it still sends the first packet, and sends the next one a second later. An error means that neither was seen, and
// that the network is not as it was meant to be.
func (p *Probe) Opens() (bool, error) {
	var err error
	for _, limit := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond} {
		var c *Conn
		if c, err = Dial(p.From, p.Protocol, p.To, p.Name, limit); err == nil {
			c.reset()
			return true, nil
		}
		if !isRefusal(err) {
			return false, err
		}
	}
	return false, nil
}

// isRefusal reports whether an error is what a dropped or rejected packet leads to.
func isRefusal(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}
