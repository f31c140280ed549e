//go:build linux

package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// chartMemory is the memory limit of the Helm chart, of which GOMEMLIMIT is 90%.
const (
	chartMemoryLimit = "921MiB"
	chartMemory      = 921 << 20
)

// A child is a netpold in a process of its own. It ends with the test.
type child struct {
	// addr and admin are HOST:PORT of gRPC and of the admin pages.
	addr, admin string
	cmd         *exec.Cmd
	// gone is closed when the process has ended.
	gone chan struct{}
	log  lines
	// stderr is where the log comes from.
	stderr io.Closer
	// ca is the file with the certificate of its TLS; empty without.
	ca string
	// asker is the process of the innocent. timed means that its times are judged in any case.
	asker int
	timed bool
	// enough reports whether an attack got somewhere as often as it must, however long that takes. It may be nil.
	enough func() bool
	// clients are those of attackers that are open. byAddress has those of child.client.
	mu        sync.Mutex
	clients   []*grpc.ClientConn
	byAddress map[string]*grpc.ClientConn
}

// start starts netpold on the cluster of dir with more flags, at the limits of the chart, and returns when it answers.
func start(t *testing.T, dir string, flags ...string) *child {
	t.Helper()
	return startAs(t, func(*exec.Cmd) {}, dir, flags...)
}

// startAs is start with a command that change changes.
func startAs(t *testing.T, change func(*exec.Cmd), dir string, flags ...string) *child {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	n := &child{gone: make(chan struct{}), byAddress: map[string]*grpc.ClientConn{}}
	n.cmd = exec.Command(path, append([]string{"serve", "--manifests", dir, "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0", "--log-format", "json", "--drain-delay", "0s", "--drain-timeout", "5s"}, flags...)...)
	change(n.cmd)
	n.cmd.Env = append(ownEnv(), "GOMEMLIMIT="+chartMemoryLimit, "GOMAXPROCS=2")
	// The kernel ends it when this process dies without a chance to do so.
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := n.cmd.StderrPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	n.stderr = stderr
	preferred(n.cmd)
	ready := make(chan struct{})
	go func() {
		defer close(n.gone)
		n.follow(stderr, ready)
		_ = n.cmd.Wait() // a test that wants to know looks at ProcessState
	}()
	t.Cleanup(func() {
		if err := n.closeClients(); err != nil {
			t.Error(err)
		}
		n.stop(t)
	})
	select {
	case <-ready:
	case <-n.gone:
		t.Fatalf("netpold has ended: %v\n%s", n.cmd.ProcessState, n.log.text())
	case <-time.After(patience):
		t.Fatalf("netpold does not answer\n%s", n.log.text())
	}
	return n
}

// ownEnv returns the environment without what would set up netpold.
func ownEnv() (own []string) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "NETPOLD_") && !strings.HasPrefix(name, "GO") {
			own = append(own, v)
		}
	}
	return own
}

// follow reads the log to its end, and closes ready when netpold answers.
func (n *child) follow(log io.Reader, ready chan struct{}) {
	in := bufio.NewScanner(log)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		n.log.add(in.Text())
		var record struct {
			Msg       string `json:"msg"`
			Addr      string `json:"addr"`
			AdminAddr string `json:"admin_addr"`
		}
		if json.Unmarshal(in.Bytes(), &record) != nil {
			continue
		}
		switch record.Msg {
		case "serving":
			n.addr, n.admin = record.Addr, record.AdminAddr
		case "ready":
			close(ready)
		}
	}
	_, _ = io.Copy(io.Discard, log) // after a line that is too long
}

// stop drains netpold, and fails the test if it does not end well.
func (n *child) stop(t *testing.T) {
	select {
	case <-n.gone:
		t.Errorf("netpold has ended by itself: %v\n%s", n.cmd.ProcessState, n.log.text())
		return
	default:
	}
	err := n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.gone:
	case <-time.After(patience):
		err = errors.Join(err, errors.New("it does not drain"), n.cmd.Process.Kill())
		<-n.gone
	}
	if err != nil || n.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("netpold ends with %v, %v\n%s", n.cmd.ProcessState, err, n.log.text())
	}
}

// get returns a page of the admin port.
func (n *child) get(ctx context.Context, path string) (body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.admin+path, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// metrics returns the series of the admin port.
func (n *child) metrics(ctx context.Context) (map[string]float64, error) {
	page, err := n.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	series := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		at := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line)[at+1:], 64); err == nil {
			series[line[:at]] = v
		}
	}
	return series, nil
}

// A condition is how the process fares.
type condition struct {
	goroutines int
	// heap is what is in use after a garbage collection, in bytes.
	heap int64
	// files is how many it has open.
	files int
}

// condition returns how the process fares now.
func (n *child) condition(ctx context.Context) (c condition, err error) {
	if _, err := n.get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
		return c, err
	}
	m, err := n.metrics(ctx)
	if err != nil {
		return c, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.pid()))
	return condition{int(m["go_goroutines"]), int64(m["go_memstats_heap_alloc_bytes"]), len(files)}, err
}

func (n *child) pid() int { return n.cmd.Process.Pid }

// forgetPeak lowers the peak of the resident memory to what is resident now.
func (n *child) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", n.pid()), []byte("5"), 0)
}

// peak returns the most that was resident, in bytes.
func (n *child) peak() (int64, error) { return n.status("VmHWM:") }

// resident returns what is resident, in bytes.
func (n *child) resident() (int64, error) { return n.status("VmRSS:") }

// status returns a figure of the process that Linux counts in KiB.
func (n *child) status(name string) (int64, error) {
	page, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.pid()), "status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(page, []byte(name))
	kib, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	return kib << 10, err
}

// maxLines are kept of a log.
const maxLines = 200

// lines are the last ones of a log. They are safe for concurrent use.
type lines struct {
	mu   sync.Mutex
	last []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last = append(l.last, line); len(l.last) > maxLines {
		l.last = l.last[1:]
	}
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}

// The attackers would be on other machines. So this process leaves the processors to netpold and to the innocent, as
// far as it may: that they come before everything needs root.
const (
	attackerPriority = 10
	targetPriority   = -20
)

// yieldProcessors lets other processes come before this one.
func yieldProcessors() error { return syscall.Setpriority(syscall.PRIO_PROCESS, 0, attackerPriority) }

// preferred lets a process come before others, if this one has the right to.
func preferred(cmd *exec.Cmd) {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, targetPriority)
}

// raiseFileLimit lets this process open as many files as it may.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
