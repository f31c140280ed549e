package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

const (
	// socketMode lets the owner and the group of a Unix socket ask.
	socketMode = 0o660
	// beingMade ends the name of a socket until it has its mode.
	beingMade = ".new"
	// maxSocketPath is what fits into the address of a Unix socket, without the zero byte, on every system.
	maxSocketPath = 103 - len(beingMade)
	// aliveTimeout is how long a process may take to accept a connection to its socket.
	aliveTimeout = time.Second
)

// A unixListener listens on a Unix socket, and removes it when it closes, unless another one has its place.
type unixListener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// listenUnix opens a Unix socket at path. A socket that nobody listens on is replaced. It is made under another
// name and renamed, so that it never has another mode at path, and no moment without a socket is seen.
func listenUnix(path string) (net.Listener, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	next := path + beingMade
	if err := replaceable(next); err != nil {
		return nil, err
	}
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing a socket that nobody listens on: %w", err)
	}
	inner, err := net.ListenUnix("unix", &net.UnixAddr{Name: next, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("%w: give a path in a directory that exists and may be written to", err)
	}
	inner.SetUnlinkOnClose(false)
	made, err := name(next, path)
	if err != nil {
		return nil, errors.Join(err, inner.Close(), os.Remove(next))
	}
	return &unixListener{UnixListener: inner, path: path, made: made}, nil
}

// name gives a socket its mode and its name.
func name(next, path string) (os.FileInfo, error) {
	if err := os.Chmod(next, socketMode); err != nil {
		return nil, fmt.Errorf("setting the mode of the socket: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return nil, fmt.Errorf("naming the socket: %w", err)
	}
	made, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("looking at the socket: %w", err)
	}
	return made, nil
}

// replaceable returns an error unless path is free, or is a socket that nobody listens on.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: give a path in a directory that exists and may be written to", err)
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("something that is no socket is there: remove it, or give another path")
	}
	conn, err := net.DialTimeout("unix", path, aliveTimeout)
	if err == nil {
		return errors.Join(errors.New("another process listens there: stop it, or give another path"), conn.Close())
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("another process may listen there: %w: stop it, or give another path", err)
	}
	return nil
}

// Addr implements [net.Listener].
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Accept implements [net.Listener].
func (l *unixListener) Accept() (net.Conn, error) {
	conn, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return &unixConn{conn}, nil
}

// A unixConn is a connection to a Unix socket. A policy of callers reads a port out of the own address of a
// connection, and refuses every call if there is none.
type unixConn struct{ *net.UnixConn }

// LocalAddr implements [net.Conn].
func (*unixConn) LocalAddr() net.Addr { return portless{} }

// portless is the address of a Unix socket, with a port that is none.
type portless struct{}

// Network implements [net.Addr].
func (portless) Network() string { return "unix" }

// String implements [net.Addr].
func (portless) String() string { return "unix:0" }

// Close implements [net.Listener].
func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
		// It is in the way of nobody: the next one replaces it.
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
