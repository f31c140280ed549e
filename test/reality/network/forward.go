//go:build linux

package network

import (
	"io"
	"net"
	"sync"
)

// A Forward takes connections to an address of the loopback inside a namespace to the same address outside of
// it: so a program inside reaches one server of the machine, and nothing else of it.
type Forward struct {
	listener net.Listener
	running  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil after Close
}

// NewForward takes connections inside n to address until Close.
func NewForward(n *Namespace, address string) (*Forward, error) {
	f := &Forward{open: map[net.Conn]bool{}}
	if err := n.Do(func() (err error) {
		f.listener, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		return nil, err
	}
	f.running.Go(func() {
		for {
			inside, err := f.listener.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.join(inside, address) })
		}
	})
	return f, nil
}

// join copies both ways until either side ends.
func (f *Forward) join(inside net.Conn, address string) {
	defer f.forget(inside)
	outside, err := net.Dial("tcp", address)
	if err != nil || !f.keep(inside, outside) {
		return
	}
	f.running.Go(func() {
		defer f.forget(inside, outside)
		_, _ = io.Copy(inside, outside) // either side may end when it likes
	})
	_, _ = io.Copy(outside, inside)
	f.forget(outside)
}

// keep remembers connections for Close, and reports whether there is still time. Otherwise it closes them.
func (f *Forward) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		if f.open == nil {
			c.Close() //nolint:errcheck,gosec // it was not used
			continue
		}
		f.open[c] = true
	}
	return f.open != nil
}

// forget closes connections.
func (f *Forward) forget(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		c.Close() //nolint:errcheck,gosec // either side may end when it likes
		delete(f.open, c)
	}
}

// Close ends all connections.
func (f *Forward) Close() {
	f.listener.Close() //nolint:errcheck,gosec // it only listens
	f.mu.Lock()
	for c := range f.open {
		c.Close() //nolint:errcheck,gosec // either side may end when it likes
	}
	f.open = nil
	f.mu.Unlock()
	f.running.Wait()
}
