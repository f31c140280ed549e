//go:build linux

package network

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// An Echo answers in a namespace, on TCP and on UDP, with its name before what it was sent. So whoever asks
// knows whom it reached.
type Echo struct {
	name      string
	listeners []net.Listener
	packets   []net.PacketConn
	running   sync.WaitGroup
}

// Listen answers in n on ports, for both protocols and both families, until Close.
func Listen(n *Namespace, ports ...uint16) (*Echo, error) {
	e := &Echo{name: n.Name()}
	err := n.Do(func() error {
		for _, port := range ports {
			if err := e.open(fmt.Sprintf(":%d", port)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		e.Close()
		return nil, err
	}
	for _, l := range e.listeners {
		e.running.Go(func() { e.accept(l) })
	}
	for _, p := range e.packets {
		e.running.Go(func() { e.answer(p) })
	}
	return e, nil
}

// open opens the sockets of one port.
func (e *Echo) open(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	e.listeners = append(e.listeners, l)
	for _, network := range []string{"udp4", "udp6"} { // one for both would answer IPv4 from any address
		p, err := net.ListenPacket(network, address)
		if err != nil {
			return err
		}
		e.packets = append(e.packets, p)
	}
	return nil
}

// accept takes connections until Close.
func (e *Echo) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			e.running.Go(func() { e.serve(conn) })
		}
	}
}

// serve answers on a connection until the other side closes it.
func (e *Echo) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the other side has said all
	buffer := make([]byte, 64)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(e.reply(buffer[:n])); err != nil {
			return
		}
	}
}

// answer answers packets until Close.
func (e *Echo) answer(p net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		n, from, err := p.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = p.WriteTo(e.reply(buffer[:n]), from) // a lost answer is asked for again
		}
	}
}

// reply returns the answer to what was sent.
func (e *Echo) reply(sent []byte) []byte { return append([]byte(e.name+" "), sent...) }

// Close ends the answers, and waits until connections have ended too.
func (e *Echo) Close() {
	for _, l := range e.listeners {
		l.Close() //nolint:errcheck,gosec // it only listens
	}
	for _, p := range e.packets {
		p.Close() //nolint:errcheck,gosec // it only listens
	}
	e.running.Wait()
}
