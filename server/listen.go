package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens a port. The error names field, a field of [Config].
func listen(field, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err == nil {
		return listener, nil
	}
	remedy := "give HOST:PORT, for example 127.0.0.1:9480; port 0 takes a free one"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another process has the port: stop it, or give another one; port 0 takes a free one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine has no such address: give one of its own, or 0.0.0.0 for all"
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 are not for everyone: give a higher one"
	}
	return nil, fieldError(field, address, fmt.Errorf("%w: %s", err, remedy))
}
