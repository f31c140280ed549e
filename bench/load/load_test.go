package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/netpold/netpold/bench/synthetic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLoad drives the real program with next to nothing.
func TestLoad(t *testing.T) {
	program := filepath.Join(t.TempDir(), "netpold")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join("..", ".."), "-o", program, "./cmd/netpold")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	// Set up by the caller's environment, it would not start.
	t.Setenv("NETPOLD_LISTEN", "nowhere")
	size := synthetic.Size{Pods: 60, Policies: 20}

	t.Run("table", func(t *testing.T) {
		s := settings{netpold: program, size: size, step: 200 * time.Millisecond, call: 30 * time.Second, steps: 1, connections: 2, lists: 2,
			loads: []load{{start: 20}, {batch: 10, start: 10}}}
		var stdout, stderr bytes.Buffer
		s.beside = 18
		if err := drive(t.Context(), s, &stdout, &stderr); err != nil || strings.Count(stdout.String(), "\n| Allowed") != 2 ||
			strings.Contains(stdout.String(), "Batch") {
			t.Errorf("-beside alone: %v\n%s%s", err, &stdout, &stderr)
		}
		stdout.Reset()
		s.beside = 0
		if err := drive(t.Context(), s, &stdout, &stderr); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		var got []string
		for line := range strings.Lines(stdout.String()) {
			cells := strings.Split(line, " | ")
			if len(cells) < 10 || cells[0] == "| method" {
				continue
			}
			got = append(got, fmt.Sprintf("%s asked %s errors %s", cells[0], cells[1], cells[7]))
			for _, i := range []int{2, 3, 8, 9} {
				if cells[i] == "" || cells[i] == "0" {
					t.Errorf("cell %d is %q: %s", i, cells[i], line)
				}
			}
		}
		want := []string{
			"| Allowed asked 20 errors 0", "| BatchAllowed of 10 asked 10 errors 0", "| StreamAllowed, by 1,000 asked full speed errors 0",
			"| Allowed asked 18 errors 0", "| Allowed, beside 2 lists asked 18 errors 0",
		}
		if !slices.Equal(got, want) {
			t.Errorf("rows are %q, want %q:\n%s%s", got, want, &stdout, &stderr)
		}
	})
	t.Run("decision log", func(t *testing.T) {
		s := settings{netpold: program, size: size, step: time.Second, call: 30 * time.Second, connections: 2, logRounds: 2}
		var stdout, stderr bytes.Buffer
		if err := drive(t.Context(), s, &stdout, &stderr); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		if got := stdout.String(); strings.Count(got, "\n| with") != 2 || strings.Contains(got, "| 0 |") ||
			strings.Contains(got, "NaN") || strings.Count(stderr.String(), " calls/s") != 4 {
			t.Errorf("%s%s", got, &stderr)
		}
	})
	t.Run("flows", func(t *testing.T) {
		t.Setenv("TMPDIR", t.TempDir())
		s := settings{netpold: program, size: size, flows: 2000, distinct: 100}
		var stdout, stderr bytes.Buffer
		if err := measureFlows(t.Context(), s, &stdout, &stderr); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		if got := stdout.String(); strings.Count(got, "\n| 100 | ") != 4 || strings.Count(got, "\n| 2000 | ") != 4 {
			t.Errorf("%s%s", got, &stderr)
		}
	})
	t.Run("one audit", func(t *testing.T) {
		dir, cluster := t.TempDir(), synthetic.New(size)
		file, err := writeManifests(dir, cluster)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "flows.json")
		strangers, err := writeFlows(path, cluster, 200, 200)
		if err != nil {
			t.Fatal(err)
		}
		s := settings{netpold: program, flows: 200}
		held := bytes.Repeat([]byte{1}, 400<<20)
		clear(held)
		// What this process held is not the child's.
		r, err := auditFlows(t.Context(), s, strangers, path, "--manifests", file)
		if err != nil || r.resident >= int64(len(held)) {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = auditFlows(t.Context(), s, strangers+1, path, "--manifests", file)
		if err == nil || !strings.Contains(err.Error(), "Disagrees:2}, want 200 records, all asked, of which 3 disagree") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("a server of another cluster is not driven", func(t *testing.T) {
		cluster := synthetic.New(size)
		questions := newQuestions(cluster)
		srv := started(t, t.Context(), program, &synthetic.Cluster{Others: cluster.Others, Pods: cluster.Pods})
		if err := verify(t.Context(), srv.addr, cluster, questions); err == nil || !strings.Contains(err.Error(), "are not the cluster") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("the server ends with the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		srv := started(t, ctx, program, synthetic.New(size))
		cancel()
		<-srv.gone
		if err := srv.ended(); err != nil {
			t.Errorf("told as a failure of its own: %v", err)
		}
	})
	t.Run("a server that ends by itself is told", func(t *testing.T) {
		_, err := startServer(t.Context(), program, filepath.Join(t.TempDir(), "none.yaml"))
		if err == nil || !strings.Contains(err.Error(), "none.yaml") {
			t.Errorf("error is %v, want what the server said", err)
		}
	})
}

func started(t *testing.T, ctx context.Context, program string, c *synthetic.Cluster) *server {
	t.Helper()
	file, err := writeManifests(t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := startServer(ctx, program, file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.stop)
	return srv
}

func TestClimb(t *testing.T) {
	for _, test := range []struct {
		name     string
		capacity float64
		steps    int
		want     []float64
	}{
		{"to saturation, and between", 350, 8, []float64{100, 200, 300, 400}},
		{"on the way", 700, 8, []float64{100, 200, 400, 600, 800}},
		{"saturated at once", 50, 8, []float64{100}},
		{"never saturated", 1e9, 3, []float64{100, 200, 400}},
		{"one step", 1e9, 1, []float64{100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, err := climb(test.steps, 100, func(rate float64) (row, error) {
				return row{asked: rate, achieved: min(rate, test.capacity)}, nil
			})
			var got []float64
			for _, r := range rows {
				got = append(got, r.asked)
			}
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("rates are %v, %v, want %v", got, err, test.want)
			}
		})
	}
	t.Run("an error keeps what was measured", func(t *testing.T) {
		failure := errors.New("gone")
		rows, err := climb(8, 100, func(rate float64) (row, error) {
			if rate > 100 {
				return row{}, failure
			}
			return row{asked: rate, achieved: rate}, nil
		})
		if len(rows) != 1 || !errors.Is(err, failure) {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	})
}

func TestLimit(t *testing.T) {
	for want, r := range map[string]row{
		"":                      {asked: 100, achieved: 95, p99: slowest},
		"below 95% of the rate": {asked: 100, achieved: 94.9},
		"p99 above 100ms":       {asked: 100, achieved: 100, p99: slowest + 1},
		"errors: no":            {asked: 100, achieved: 99, errors: 1, failure: "no"},
	} {
		if got := r.limit(); got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
	}
}

func TestPacer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &pacer{ctx: ctx, rate: 1000, length: time.Second}
	check := func(elapsed time.Duration, calls uint64, wantWait time.Duration, wantStop bool) {
		t.Helper()
		if wait, stop := p.Pace(elapsed, calls); wait != wantWait && !stop || stop != wantStop {
			t.Errorf("after %v and %d calls: %v, %t, want %v, %t", elapsed, calls, wait, stop, wantWait, wantStop)
		}
	}
	check(0, 0, 0, false)
	check(0, 5, 5*time.Millisecond, false)
	check(500*time.Millisecond, 5, -495*time.Millisecond, false) // behind: at once
	check(990*time.Millisecond, 1000, 0, true)
	check(time.Second, 5, 0, true)
	cancel()
	check(0, 0, 0, true)
}

func TestReadUsage(t *testing.T) {
	const text = "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 4.2e+07\n"
	if u, err := readUsage(strings.NewReader(text)); err != nil || u.cpu != 1.5 || u.resident != 42e6 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := readUsage(strings.NewReader("process_cpu_seconds_total 1.5\n")); err == nil || !strings.Contains(err.Error(), "process_resident_memory_bytes") {
		t.Errorf("without memory: %v", err)
	}
}

func TestFlags(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for want, args := range map[string][]string{
		"-size is":           {"-size", "huge"},
		"-step is 1ms":       {"-step", "1ms"},
		"-steps is 0":        {"-steps", "0"},
		"-connections is 0":  {"-connections", "0"},
		"-beside is -1":      {"-beside", "-1", "-lists", "1"},
		"-beside needs":      {"-beside", "100"},
		"-decision-log is -": {"-decision-log", "-1"},
		`"fast" is not`:      {"fast"},
		"`make build` makes": {"-netpold", filepath.Join(t.TempDir(), "netpold")},
	} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), args, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", args, err, want)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "netpold-load-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
