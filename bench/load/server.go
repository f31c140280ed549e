package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// server is a netpold in a process of its own, which ends with ctx, with stop, and on Linux with this process.
type server struct {
	// addr and admin are HOST:PORT of its gRPC and of its metrics.
	addr, admin string

	cancel context.CancelFunc
	// gone is closed when the process has ended, with why.
	gone chan struct{}
	why  error
}

// startLimit is for how long a server may read its manifests.
const startLimit = time.Minute

// startServer starts a server of manifests, with more flags, on ports of the loopback that are free, and returns when it
// answers.
func startServer(ctx context.Context, program, manifests string, flags ...string) (*server, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, append([]string{"serve", "--manifests", manifests, "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0", "--log-format", "json"}, flags...)...)
	cmd.Env = ownEnv(os.Environ())
	endWithParent(cmd)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s, which `make build` makes: %w", program, err)
	}
	s := &server{cancel: cancel, gone: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(s.gone)
		said := s.follow(stderr, ready)
		_ = cmd.Wait() // ProcessState says it all
		if ctx.Err() == nil {
			s.why = fmt.Errorf("%s has ended by itself (%v), saying:\n%s", program, cmd.ProcessState, said)
		}
	}()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case <-ready:
		return s, nil
	case <-s.gone:
		cancel()
		return nil, errors.Join(s.why, context.Cause(ctx))
	case <-limit.C:
		s.stop()
		return nil, fmt.Errorf("%s did not serve within %v", program, startLimit)
	}
}

// ownEnv leaves out what would set up a netpold of the caller's.
func ownEnv(environ []string) []string {
	var own []string
	for _, v := range environ {
		if !strings.HasPrefix(v, "NETPOLD_") {
			own = append(own, v)
		}
	}
	return own
}

// saidLines are kept of what a server says, for when it ends by itself.
const saidLines = 20

// follow reads a server's log to its end, closes ready when the server answers, and returns the last lines.
func (s *server) follow(log io.Reader, ready chan<- struct{}) string {
	var said []string
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if said = append(said, lines.Text()); len(said) > saidLines {
			said = said[1:]
		}
		var record struct {
			Msg       string `json:"msg"`
			Addr      string `json:"addr"`
			AdminAddr string `json:"admin_addr"`
		}
		if json.Unmarshal(lines.Bytes(), &record) != nil {
			continue // not every word of a program that fails is its log
		}
		switch record.Msg {
		case "serving":
			s.addr, s.admin = record.Addr, record.AdminAddr
		case "ready":
			if ready != nil {
				close(ready)
				ready = nil
			}
		}
	}
	// After a line that is too long: a server whose log nobody reads stands still.
	_, _ = io.Copy(io.Discard, log)
	return strings.Join(said, "\n")
}

// ended tells why a server that should be running does not; nil when it does, or was stopped.
func (s *server) ended() error {
	select {
	case <-s.gone:
		return s.why
	default:
		return nil
	}
}

// stop ends the server, and returns when it has ended.
func (s *server) stop() {
	s.cancel()
	<-s.gone
}
