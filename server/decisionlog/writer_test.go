package decisionlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/decisionid"
)

// answer is an allowed answer.
var answer = &netpoldv1.AllowedResponse{Allowed: true, Reason: netpoldv1.Reason_REASON_SELF}

// record queues n records, which differ in their port from first on.
func record(l *Log, first, n int) {
	for port := first; port < first+n; port++ {
		l.Record(context.Background(), decisionid.New(), "Allowed", time.Now(),
			&netpoldv1.AllowedRequest{Port: uint32(port)}, answer, nil, false)
	}
}

// A written is what a test reads of a line.
type written struct {
	Question struct{ Port int }
	Dropped  int
}

// linesOf returns the lines of a log. Each must be whole.
func linesOf(t *testing.T, text string) (ports []int, dropped int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var w written
		if err := json.Unmarshal([]byte(line), &w); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("%v: %q", err, line)
		}
		if w.Dropped > 0 {
			dropped += w.Dropped
			continue
		}
		ports = append(ports, w.Question.Port)
	}
	return ports, dropped
}

// run runs l, and returns a function that ends it and returns Run's error.
func run(l *Log) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func open(t *testing.T, options Options) *Log {
	t.Helper()
	if options.Sample == 0 {
		options.Sample = 1
	}
	l, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A disk is a writer that a test fills and empties.
type disk struct {
	mu   sync.Mutex
	room int
	b    bytes.Buffer
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.room -= n
	d.b.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) grow(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room += n
}

// TestG3FullDisk proves that what a full disk does not take waits in the queue, that what the queue does not
// take is dropped, counted and told of, that the failure is reported and logged once, and that the line that
// was cut is completed.
func TestG3FullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &disk{room: 700} // one line and a half
		l := open(t, Options{Path: Stdout, Stdout: d, Queue: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		end := run(l)
		record(l, 1, 10)
		time.Sleep(time.Second) //nolint:forbidigo // of a fake clock
		if s := l.Status(); !strings.Contains(s.Failure, "no space left") || s.Queued != 10 || s.Dropped != 0 {
			t.Errorf("while the disk is full: %+v", s)
		}
		record(l, 11, 5)
		time.Sleep(30 * time.Second) //nolint:forbidigo // of a fake clock
		if s := l.Status(); s.Dropped != 5 || l.counts.dropped[writeFailed].Load() != 5 {
			t.Errorf("with a full queue: %+v", s)
		}
		if n := strings.Count(log.String(), "is not written"); n != 1 {
			t.Errorf("told %d times:\n%s", n, &log)
		}
		d.grow(1 << 20)
		time.Sleep(lastRetry + time.Second) //nolint:forbidigo // of a fake clock
		if s := l.Status(); s.Failure != "" || s.Queued != 0 || s.Written != 10 {
			t.Errorf("with room again: %+v", s)
		}
		record(l, 20, 1)
		if err := end(); err != nil {
			t.Error(err)
		}
		ports, dropped := linesOf(t, d.b.String())
		if len(ports) != 11 || ports[0] != 1 || ports[9] != 10 || ports[10] != 20 || dropped != 5 {
			t.Errorf("ports %v, dropped %d", ports, dropped)
		}
		if !strings.Contains(log.String(), "is written again") {
			t.Errorf("the end of the failure is not logged:\n%s", &log)
		}
	})
}

// TestG3LeftAtTheEnd proves that a log that still fails at the end does not hold it up, and says what is lost.
func TestG3LeftAtTheEnd(t *testing.T) {
	t.Parallel()
	l := open(t, Options{Path: "/dev/full"})
	end := run(l)
	record(l, 1, 3)
	err := end()
	if err == nil || !strings.Contains(err.Error(), "3 records") || l.Status().Dropped != 3 {
		t.Errorf("%v, %+v", err, l.Status())
	}
}

// TestG3QueueFull proves that decisions beyond the queue are dropped at once, of a batch those at its end.
func TestG3QueueFull(t *testing.T) {
	t.Parallel()
	var out disk
	out.room = 1 << 20
	l := open(t, Options{Path: Stdout, Stdout: &out, Queue: 10})
	record(l, 1, 4)
	batch, answers := &netpoldv1.BatchAllowedRequest{}, &netpoldv1.BatchAllowedResponse{}
	for port := range 20 {
		batch.Questions = append(batch.Questions, &netpoldv1.AllowedRequest{Port: uint32(port + 5)})
		answers.Answers = append(answers.Answers,
			&netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: answer}})
	}
	l.batch(call{method: methodBatch}, time.Now(), 0, batch, answers, nil, 20)
	record(l, 100, 2)
	if n := l.counts.dropped[queueFull].Load(); n != 16 {
		t.Errorf("%d dropped, want 16", n)
	}
	if err := run(l)(); err != nil {
		t.Error(err)
	}
	ports, dropped := linesOf(t, out.b.String())
	if len(ports) != 10 || ports[9] != 10 || dropped != 16 || l.Status().Written != 10 {
		t.Errorf("ports %v, dropped %d, %+v", ports, dropped, l.Status())
	}
}

// TestG3TooLarge proves that a record that no reader takes is dropped, and those around it are written; and
// that large questions fill the queue sooner.
func TestG3TooLarge(t *testing.T) {
	t.Parallel()
	var out disk
	out.room = 1 << 30
	l := open(t, Options{Path: Stdout, Stdout: &out, Queue: 2000})
	record(l, 1, 1)
	large := func(size int) {
		q := &netpoldv1.AllowedRequest{Port: 2, AtLeast: strings.Repeat("x", size)}
		l.Record(context.Background(), decisionid.New(), "Allowed", time.Now(), q, answer, nil, false)
	}
	large(1 << 20)
	if got := l.Status().Queued; got != 1025 {
		t.Errorf("%d queued, want 1025", got)
	}
	record(l, 3, 1)
	large(1 << 20)
	if err := run(l)(); err != nil {
		t.Error(err)
	}
	ports, dropped := linesOf(t, out.b.String())
	if len(ports) != 2 || l.counts.dropped[tooLarge].Load() != 1 || l.counts.dropped[queueFull].Load() != 1 ||
		dropped != 2 {
		t.Errorf("ports %v, dropped %d, %+v", ports, dropped, l.Status())
	}
}

// fifo returns the path of a new FIFO.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestG3FIFO proves that a FIFO is waited for, that its reader may go and come again, and that a line that was
// cut by that is written whole to the next reader.
func TestG3FIFO(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	l := open(t, Options{Path: path})
	if l.Status().Failure == "" {
		t.Error("nobody reads the FIFO, and the status says nothing")
	}
	end := run(l)
	record(l, 1, 1)
	for round := 1; round <= 2; round++ {
		reader, err := os.Open(path) // blocks until the writer comes
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(reader).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if ports, _ := linesOf(t, line); len(ports) != 1 || ports[0] != round {
			t.Errorf("round %d: %q", round, line)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		if round == 1 {
			record(l, 2, 1)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestG3ReaderStalls proves that a reader that does not read ends neither decisions nor the end of the server.
func TestG3ReaderStalls(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l := open(t, Options{Path: path, Queue: 1000})
	end := run(l)
	record(l, 0, 1000) // more than a pipe holds
	if err := end(); err == nil || l.Status().Written+l.Status().Dropped != 1000 || l.Status().Dropped == 0 {
		t.Errorf("%v, %+v", err, l.Status())
	}
}

// TestG4Reopen proves that no record is lost or cut when the file is moved away and opened again, while
// records come; and that a path that cannot be opened again leaves the present file in use.
func TestG4Reopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	l := open(t, Options{Path: path})
	end := run(l)
	const rounds, each = 20, 500
	files := []string{path}
	for round := range rounds {
		record(l, round*each, each/2)
		moved := path + string(rune('a'+round))
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		files = append(files, moved)
		l.Reopen()
		record(l, round*each+each/2, each/2)
		for {
			if _, err := os.Stat(path); err == nil {
				break
			} else if !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	seen := map[int]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ports, dropped := linesOf(t, string(text))
		if dropped > 0 {
			t.Errorf("%d dropped", dropped)
		}
		for _, port := range ports {
			if seen[port] {
				t.Errorf("record %d is written twice", port)
			}
			seen[port] = true
		}
	}
	if len(seen) != rounds*each {
		t.Errorf("%d records, want %d", len(seen), rounds*each)
	}
}

// TestG2SampledOutIsFree proves that a decision that sampling leaves out allocates nothing.
func TestG2SampledOutIsFree(t *testing.T) {
	l := open(t, Options{Path: Stdout, Stdout: &disk{}, DenialsOnly: true})
	ctx, req := context.Background(), &netpoldv1.AllowedRequest{}
	var resp any = answer
	handler := func(context.Context, any) (any, error) { return resp, nil }
	if n := testing.AllocsPerRun(100, func() { _, _ = l.allowed(ctx, req, handler) }); n != 0 {
		t.Errorf("%v allocations for an answer that is left out", n)
	}
	asked := &netpoldv1.StreamAllowedRequest{}
	answers := &netpoldv1.StreamAllowedResponse{Allowed: bytes.Repeat([]byte{0xff}, 125), Reasons: make([]byte, 1000)}
	if n := testing.AllocsPerRun(100, func() { l.message(call{}, time.Time{}, asked, answers) }); n != 0 {
		t.Errorf("%v allocations for a message that is left out", n)
	}
}
