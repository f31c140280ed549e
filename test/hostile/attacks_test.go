//go:build linux

package hostile

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// checkMethod is that of ext_authz.
const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

// An attack is what one caller does, until ctx ends or it has to begin anew. done counts how often it got somewhere.
type attack func(ctx context.Context, n *child, from string, done *atomic.Int64)

// raw returns an attack over a connection of its own, on which f writes until that fails.
func raw(window uint32, read bool, f func(c *rawClient, done *atomic.Int64) error) attack {
	return func(ctx context.Context, n *child, from string, done *atomic.Int64) {
		c, err := n.openRaw(ctx, from, window, read)
		if err != nil {
			return
		}
		c.closeWith(ctx)
		if f(c, done) == nil {
			<-ctx.Done()
		}
		_ = c.close() // it may be closed
	}
}

// unfinished returns an attack of messages that never end, to several methods, with all that a window lets come.
func unfinished(calls int) attack {
	part := framed(make([]byte, 32<<10), 4<<20)
	methods := []string{
		netpoldv1.DecisionService_Allowed_FullMethodName, netpoldv1.DecisionService_StreamAllowed_FullMethodName, checkMethod,
		netpoldv1.StatusService_GetStatus_FullMethodName, netpoldv1.DecisionService_WatchAllowed_FullMethodName,
	}
	return raw(1<<16, true, func(c *rawClient, done *atomic.Int64) error {
		for i := range calls {
			if _, err := c.call(methods[i%len(methods)], part, false); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
}

// pings returns an attack of pings that want an answer.
func pings() attack {
	return raw(1<<16, true, func(c *rawClient, done *atomic.Int64) error {
		for {
			if err := c.do(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) }); err != nil {
				return err // netpold has ended it
			}
			done.Add(1)
		}
	})
}

// resets returns an attack of calls that are taken back at once.
func resets(message []byte) attack {
	return raw(1<<16, true, func(c *rawClient, done *atomic.Int64) error {
		for range 500 {
			stream, err := c.call(netpoldv1.DecisionService_Allowed_FullMethodName, message, true)
			if err != nil {
				return err
			}
			if err := c.do(func(f *http2.Framer) error { return f.WriteRSTStream(stream, http2.ErrCodeCancel) }); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
}

// headers returns an attack of headers beyond what may come.
func headers() attack {
	much := hpack.HeaderField{Name: "x-much", Value: string(bytes.Repeat([]byte("a"), 256<<10))}
	return raw(1<<16, true, func(c *rawClient, done *atomic.Int64) error {
		for range 20 {
			done.Add(1)
			if _, err := c.call(netpoldv1.DecisionService_Allowed_FullMethodName, nil, false, much); err != nil {
				return err // netpold has ended it
			}
		}
		return nil
	})
}

// silent returns an attack of connections that say what, and nothing more.
func silent(what []byte) attack {
	return func(ctx context.Context, n *child, from string, done *atomic.Int64) {
		conn, err := n.dialRaw(ctx, from)
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := conn.Write(what); err == nil {
			done.Add(1)
			<-ctx.Done()
		}
	}
}

// wrong returns a batch of n questions that are all wrong.
func wrong(n int) *netpoldv1.BatchAllowedRequest {
	batch := &netpoldv1.BatchAllowedRequest{}
	for range n {
		batch.Questions = append(batch.Questions, &netpoldv1.AllowedRequest{Src: netpold.Pod("", ""), Dst: netpold.IP("x")})
	}
	return batch
}

// calls returns an attack of one call after another.
func calls(t *testing.T, method string, message []byte) attack {
	return func(ctx context.Context, n *child, from string, done *atomic.Int64) {
		conn := n.client(t, from)
		for ctx.Err() == nil {
			var answer []byte
			err := conn.Invoke(ctx, method, message, &answer, grpc.WaitForReady(true)) // netpold may refuse it
			if err != nil && strings.Contains(err.Error(), "message larger than max") {
				t.Errorf("an answer that no client takes: %v", err)
			}
			done.Add(1)
		}
	}
}
