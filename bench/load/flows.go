package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

const (
	// flowRounds is how often each way to read the flows is measured, in turns.
	flowRounds = 3
	// flowStranger is how many flows there are for each that the policies contradict.
	flowStranger = 100
)

// A flowRun is what one way to read the flows has taken.
type flowRun struct {
	// wall and cpu are of the whole process; resident is the most that it held, in bytes, 0 where it is not told.
	wall, cpu time.Duration
	resident  int64
}

// measureFlows measures `netpold audit` of s.flows records of Hubble, beside reading and decoding the same fields alone,
// and prints a table.
func measureFlows(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	cluster := synthetic.New(s.size)
	dir, err := os.MkdirTemp("", "netpold-flows-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	manifests, err := writeManifests(dir, cluster)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "| distinct questions | way | wall | CPU | wall, over decoding alone | resident |\n|---|---|---|---|---|---|")
	for _, distinct := range []int{min(s.distinct, s.flows), s.flows} {
		file := filepath.Join(dir, "flows.json")
		strangers, err := writeFlows(file, cluster, s.flows, distinct)
		if err != nil {
			return err
		}
		if err := measureFile(ctx, s, manifests, file, distinct, strangers, stdout, stderr); err != nil {
			return err
		}
	}
	return nil
}

// measureFile measures a file of flows, strangers of which disagree.
func measureFile(
	ctx context.Context, s settings, manifests, file string, distinct, strangers int, stdout, stderr io.Writer,
) error {
	srv, err := startServer(ctx, s.netpold, manifests)
	if err != nil {
		return err
	}
	defer srv.stop()
	ways := []struct {
		name string
		run  func() (flowRun, error)
	}{
		{"reading and decoding alone", func() (flowRun, error) { return decodeAlone(file, s.flows) }},
		{"`--manifests --summary-only`", func() (flowRun, error) {
			return auditFlows(ctx, s, strangers, file, "--manifests", manifests, "--summary-only")
		}},
		{"`--server --summary-only`", func() (flowRun, error) {
			return auditFlows(ctx, s, strangers, file, "--server", srv.addr, "--summary-only")
		}},
		{"`--manifests`, every record printed", func() (flowRun, error) {
			return auditFlows(ctx, s, strangers, file, "--manifests", manifests)
		}},
	}
	runs := make([][]flowRun, len(ways))
	for range flowRounds {
		for i, way := range ways {
			r, err := way.run()
			if err != nil {
				return errors.Join(srv.ended(), err)
			}
			fmt.Fprintf(stderr, "%d distinct, %s: %.1f s, CPU %.1f s, %d MB\n", distinct, way.name, r.wall.Seconds(),
				r.cpu.Seconds(), r.resident>>20)
			runs[i] = append(runs[i], r)
		}
	}
	alone := fastest(runs[0])
	for i, way := range ways {
		r := fastest(runs[i])
		resident := "-"
		if r.resident > 0 {
			resident = fmt.Sprintf("%d MB", r.resident>>20)
		}
		fmt.Fprintf(stdout, "| %d | %s | %.1f s | %.1f s | %.2f | %s |\n", distinct, way.name, r.wall.Seconds(), r.cpu.Seconds(),
			r.wall.Seconds()/alone.wall.Seconds(), resident)
	}
	return nil
}

// fastest returns the least of each figure but resident, of which it returns the most.
func fastest(runs []flowRun) flowRun {
	least := runs[0]
	for _, r := range runs[1:] {
		least.wall, least.cpu = min(least.wall, r.wall), min(least.cpu, r.cpu)
		least.resident = max(least.resident, r.resident)
	}
	return least
}

// writeFlows writes flows between Pods of a cluster, about 1 KiB each, and returns how many disagree with its policies.
func writeFlows(path string, c *synthetic.Cluster, records, distinct int) (strangers int, err error) {
	snapshot := engine.NewCluster(engine.Options{}).Apply(c.Changes()...)
	rng := rand.New(rand.NewPCG(5, 5))
	questions := make([]flows.Record, distinct)
	for i := range questions {
		src, dst := c.Pods[rng.IntN(len(c.Pods))], c.Pods[rng.IntN(len(c.Pods))]
		q := flows.Record{Port: []uint16{8080, 8080, 9090, 5432}[rng.IntN(4)], Direction: flows.AtIngress}
		q.Src = flows.End{IP: src.IPs[0], Namespace: src.Namespace, Pod: src.Name}
		q.Dst = flows.End{IP: dst.IPs[0], Namespace: dst.Namespace, Pod: dst.Name}
		verdict, err := snapshot.Allowed(engine.Query{Src: engine.ByIP(q.Src.IP), Dst: engine.ByIP(q.Dst.IP), Port: q.Port})
		if err != nil {
			return 0, err
		}
		q.Observed = flows.ObservedDenied
		if verdict.Allowed {
			q.Observed = flows.ObservedAllowed
		}
		questions[i] = q
	}
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriterSize(file, 1<<20)
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	var line []byte
	for i := range records {
		r := questions[i%distinct]
		at = at.Add(time.Duration(rng.IntN(1_000_000)))
		r.Time = at
		if i%flowStranger == 0 {
			strangers++
			r.Observed = flows.ObservedAllowed + flows.ObservedDenied - r.Observed
		}
		line = flowstest.AppendHubble(line[:0], &r)
		if _, err := out.Write(line); err != nil {
			return 0, err
		}
	}
	return strangers, out.Flush()
}

// decodeAlone reads and decodes the flows in this process.
func decodeAlone(path string, records int) (r flowRun, err error) {
	file, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	runtime.GC()
	before, started := processTime(), time.Now()
	n, err := flowstest.DecodeHubble(file)
	if err == nil && n != records {
		err = fmt.Errorf("%s has %d records, not %d", path, n, records)
	}
	return flowRun{wall: time.Since(started), cpu: processTime() - before}, err
}

// auditFlows runs `netpold audit`, and fails if its summary is not what is known.
func auditFlows(ctx context.Context, s settings, strangers int, file string, flags ...string) (r flowRun, err error) {
	args := append([]string{"audit", file, "-o", "json", "--quiet", "--fail-on", "none"}, flags...)
	cmd := exec.CommandContext(ctx, s.netpold, args...)
	cmd.Env = ownEnv(os.Environ())
	cmd.Stderr = os.Stderr
	endWithParent(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	forgetResident()
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	last, readErr := lastLine(stdout)
	if err := errors.Join(cmd.Wait(), readErr); err != nil {
		return r, fmt.Errorf("netpold %v: %w", args, err)
	}
	r.wall = time.Since(started)
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	r.resident = mostResident(cmd.ProcessState)
	var end struct {
		Summary struct {
			Records, Asked, Disagrees int `json:",string"`
		}
	}
	if err := json.Unmarshal(last, &end); err != nil {
		return r, fmt.Errorf("netpold %v: its last line is no summary: %w", args, err)
	}
	if got := end.Summary; got.Records != s.flows || got.Asked != s.flows || got.Disagrees != strangers {
		return r, fmt.Errorf("netpold %v: the summary has %+v, want %d records, all asked, of which %d disagree", args, got,
			s.flows, strangers)
	}
	return r, nil
}

// lastLine reads all and returns the last line.
func lastLine(from io.Reader) ([]byte, error) {
	lines := bufio.NewReaderSize(from, 1<<20)
	var last, line []byte
	for {
		part, err := lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return last, nil
		case err != nil:
			return nil, err
		default:
			last, line = line, last[:0]
		}
	}
}
