package kubetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

// poll is how often a condition is looked at.
const poll = 20 * time.Millisecond

// Eventually waits until condition has no error, and fails the test with its last one after the limit.
func Eventually(tb testing.TB, limit time.Duration, condition func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	if err := until(ctx, condition); err != nil {
		tb.Fatalf("after %v: %v", limit, err)
	}
}

// Throughout fails the test with condition's first error within the time.
func Throughout(tb testing.TB, limit time.Duration, condition func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	err := until(ctx, func(ctx context.Context) error {
		if err := condition(ctx); err != nil && ctx.Err() == nil {
			tb.Fatal(err)
		}
		return errGoOn
	})
	if tb.Context().Err() != nil {
		tb.Fatal(err)
	}
}

var errGoOn = errors.New("not over yet")

// until looks at condition until it has no error or ctx ends; then the error is its last.
func until(ctx context.Context, condition func(context.Context) error) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var last error
	for {
		switch err := condition(ctx); {
		case err == nil:
			return nil
		case ctx.Err() == nil || last == nil:
			last = err // what fails because time is over says nothing
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

// FreeAddrs are addresses of the loopback that nobody listens on now.
func FreeAddrs(tb testing.TB, n int) []string {
	tb.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(fmt.Errorf("finding a free port: %w", err))
		}
		defer l.Close() //nolint:errcheck // held until all are found, so that they differ
		addrs[i] = l.Addr().String()
	}
	return addrs
}
