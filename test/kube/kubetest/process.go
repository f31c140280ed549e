package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running program. Its methods are safe for concurrent use.
type Process struct {
	name   string
	cmd    *exec.Cmd
	output *tail
	// ended is closed when the program has, and then err is how.
	ended chan struct{}
	err   error
}

// How much is kept of what a program writes, and how much of that is logged if the test fails.
const (
	keptOutput   = 1 << 20
	loggedOutput = 8 << 10
)

// StartProgram runs a program until the test ends. What it wrote last is logged if the test fails.
func StartProgram(tb testing.TB, name, path string, args ...string) *Process {
	tb.Helper()
	return start(tb, name, path, args, nil)
}

// start runs a program until the test ends. What it wrote last is logged if the test fails.
func start(tb testing.TB, name, path string, args, env []string) *Process {
	tb.Helper()
	p := &Process{name: name, cmd: exec.Command(path, args...), output: newTail(keptOutput), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = endsWithParent()
	started := make(chan error)
	go func() {
		// On Linux a program is told of the end of the thread that started it, so this one stays until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		tb.Fatalf("starting %s: %v", name, err)
	}
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			text := p.Output()
			tb.Logf("%s %v, %v; the end of what it wrote:\n%s", name, args, p.err, text[max(0, len(text)-loggedOutput):])
		}
	})
	return p
}

// Kill ends the program at once, and returns when it has ended.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// Stop asks the program to end, and kills it if it has not by the deadline. The result tells whether it ended by itself, and
// without an error.
func (p *Process) Stop(within time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return p.err
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.name, within)
	}
}

// Suspend stops the program in the middle of what it is doing: connections to it hang without an error.
func (p *Process) Suspend() { p.signal(syscall.SIGSTOP) }

// Resume lets a suspended program go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output is what the program wrote; of very much, the end.
func (p *Process) Output() string { return p.output.String() }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// PeakRSS is the most memory that the running program has had resident so far, in bytes. Only Linux tells.
func (p *Process) PeakRSS() (int64, error) {
	// What the system tells of an ended process counts the memory of its parent at the fork, too.
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("memory of %s: /proc tells none", p.name)
}

func (p *Process) signal(s syscall.Signal) {
	// A program that has ended has nothing left to be told.
	_ = p.cmd.Process.Signal(s)
}

// check tells of a program that should be running and is not.
func (p *Process) check() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s\n%s", p.name, p.cmd.ProcessState, p.Output())
	default:
		return nil
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	kept  []byte
}

func newTail(limit int) *tail { return &tail{limit: limit} }

// Write implements [io.Writer].
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - t.limit; over > t.limit {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// String is the last bytes.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept[max(0, len(t.kept)-t.limit):])
}
