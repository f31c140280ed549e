package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A process is a service's, which ends with its context, with stop, and on Linux with this process.
type process struct {
	program string
	pid     int
	stdin   io.WriteCloser
	// lines are those that it prints; nobody need read them.
	lines chan string

	cancel context.CancelFunc
	// gone is closed when the process has ended, with why.
	gone chan struct{}
	why  error
}

// saidLines are kept of what a process says, for when it ends by itself.
const saidLines = 20

// startProcess starts a program.
func startProcess(ctx context.Context, environ []string, program string, args ...string) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(ownEnv(os.Environ()), environ...)
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	endWithParent(cmd)
	p := &process{program: program, cancel: cancel, gone: make(chan struct{}), lines: make(chan string, 1000)}
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	err := errors.Join(err1, err2, err3)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p.stdin, p.pid = stdin, cmd.Process.Pid
	go func() {
		defer close(p.gone)
		var mu sync.Mutex
		var said []string
		var group sync.WaitGroup
		for _, from := range []io.Reader{stdout, stderr} {
			group.Go(func() {
				lines := bufio.NewScanner(from)
				lines.Buffer(nil, 1<<20)
				for lines.Scan() {
					mu.Lock()
					if said = append(said, lines.Text()); len(said) > saidLines {
						said = said[1:]
					}
					mu.Unlock()
					select {
					case p.lines <- lines.Text():
					default: // nobody reads them
					}
				}
				_, _ = io.Copy(io.Discard, from) // after a line that is too long
			})
		}
		group.Wait()
		_ = cmd.Wait() // ProcessState says it all
		if ctx.Err() == nil {
			p.why = fmt.Errorf("%s has ended by itself (%v), saying:\n%s", program, cmd.ProcessState, strings.Join(said, "\n"))
		}
	}()
	return p, nil
}

// ownEnv leaves out what would set up a service of the caller's.
func ownEnv(environ []string) []string {
	var own []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		foreign := false
		for _, prefix := range []string{"NETPOLD_", "SPICEDB_", "OPENFGA_", "CERBOS_", "OPA_", "OTEL_", "KUBECONFIG"} {
			foreign = foreign || strings.HasPrefix(name, prefix)
		}
		if !foreign {
			own = append(own, v)
		}
	}
	return own
}

// ended tells why a process that should be running does not; nil when it does, or was stopped.
func (p *process) ended() error {
	select {
	case <-p.gone:
		return p.why
	default:
		return nil
	}
}

// stop ends the process, and returns when it has ended.
func (p *process) stop() {
	if p == nil {
		return
	}
	p.cancel()
	<-p.gone
}

// retry calls ready until it returns nil, the process has ended, or it has taken too long.
func (p *process) retry(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.gone:
			return errors.Join(p.why, context.Cause(ctx))
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w", p.program, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// retryTCP returns when an address takes connections.
func (p *process) retryTCP(ctx context.Context, addr string) error {
	return p.retry(ctx, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// freeAddr is a port of the loopback that nobody listens at.
func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// A usage is what a process has used.
type usage struct {
	cpu time.Duration
	// resident is in bytes.
	resident int64
}

// tick is the unit of processor time in /proc of Linux, on every architecture that Go knows.
const tick = 10 * time.Millisecond

// usage reads what the process has used.
func (p *process) usage() (usage, error) {
	dir := fmt.Sprintf("/proc/%d/", p.pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return usage{}, errors.Join(p.ended(), err)
	}
	cpu, err := cpuOf(string(stat))
	if err != nil {
		return usage{}, fmt.Errorf("%sstat: %w", dir, err)
	}
	statm, err := os.ReadFile(dir + "statm")
	if err != nil {
		return usage{}, errors.Join(p.ended(), err)
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return usage{}, fmt.Errorf("%sstatm is %q", dir, statm)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return usage{cpu, pages * int64(os.Getpagesize())}, err
}

// cpuOf reads the processor time from a line of /proc/PID/stat, in user mode and in the kernel.
func cpuOf(stat string) (time.Duration, error) {
	// The name of the program is in brackets, and may have spaces and brackets in it.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("%q has no processor time", stat)
	}
	u, err1 := strconv.ParseInt(fields[user], 10, 64)
	s, err2 := strconv.ParseInt(fields[system], 10, 64)
	return time.Duration(u+s) * tick, errors.Join(err1, err2)
}

// next is the next line that the process prints.
func (p *process) next(ctx context.Context) (string, error) {
	select {
	case line := <-p.lines:
		return line, nil
	case <-p.gone:
		return "", errors.Join(p.why, context.Cause(ctx))
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// servesAt returns the address that a server of this program prints once it serves. what names it in errors.
func (p *process) servesAt(ctx context.Context, what string) (string, error) {
	line, err := p.next(ctx)
	if err != nil {
		return "", err
	}
	addr, found := strings.CutPrefix(line, serving)
	if !found {
		return "", fmt.Errorf("%s says %q", what, line)
	}
	return addr, nil
}
