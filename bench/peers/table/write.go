package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/netpold/netpold/bench/peers"
	"github.com/netpold/netpold/bench/synthetic"
)

// write prints the table, how each peer is used, and where peers are known to differ.
func write(w io.Writer, list []peers.Peer, rows []row) {
	fmt.Fprintf(w, "%s, %s/%s, %d cores, one goroutine asks.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintln(w, "| cluster | engine | load | heap | decision, hot | | decision, random | | change of a Pod | agrees |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range rows {
		base := netpoldAt(rows, r.size)
		fmt.Fprintf(w, "| %v | %s | %s |\n", words(r.size), r.peer, strings.Join(cells(r, base), " | "))
	}
	fmt.Fprintln(w, "\nHow each is used:")
	for _, p := range list {
		fmt.Fprintf(w, "- %s: %s.\n", p.Name, p.Shape)
	}
	fmt.Fprintln(w, "\nNot asked above, as these are known to answer otherwise than docs/semantics.md; the tests ask each:")
	for _, d := range peers.Differences() {
		fmt.Fprintf(w, "- %s, %s: %s.\n", d.Rule, d.What, strings.Join(d.Peers, ", "))
	}
}

func words(s synthetic.Size) string {
	pods, policies, _ := strings.Cut(s.String(), "Pods-")
	return pods + " Pods, " + strings.TrimSuffix(policies, "Policies") + " policies"
}

// cells are a row's figures, blank from where its time was over.
func cells(r row, base peers.Result) []string {
	list := []string{"not loaded within " + r.limit.String(), "", "", "", "", "", "", ""}
	if r.Load == 0 {
		return list
	}
	list[0], list[1] = duration(float64(r.Load)), threeDigits(float64(r.Heap)/1e6)+" MB"
	if r.Answers != "" {
		same, asked := agreeing(r.Answers, base.Answers)
		list[7] = fmt.Sprintf("%d of %d", same, asked)
	}
	if r.Hot > 0 {
		list[2], list[3] = duration(r.Hot), ratio(r.Hot, base.Hot)
	}
	if r.Random > 0 {
		list[4], list[5] = duration(r.Random), ratio(r.Random, base.Random)
	}
	if r.Change > 0 {
		list[6] = duration(float64(r.Change))
	}
	return list
}

func duration(ns float64) string {
	units := []struct {
		of   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}}
	for _, u := range units {
		if ns >= float64(u.of) {
			return threeDigits(ns/float64(u.of)) + " " + u.name
		}
	}
	return threeDigits(ns) + " ns"
}

func threeDigits(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.0f", f)
	}
}

func ratio(ns, base float64) string {
	if base == 0 {
		return ""
	}
	return threeDigits(ns/base) + "x"
}

func netpoldAt(rows []row, size synthetic.Size) peers.Result {
	for _, r := range rows {
		if r.peer == "netpold" && r.size == size {
			return r.Result
		}
	}
	return peers.Result{}
}

// agreeing counts the questions that both answered, and of them those answered alike.
func agreeing(a, b string) (same, asked int) {
	asked = min(len(a), len(b))
	for i := range asked {
		if a[i] == b[i] {
			same++
		}
	}
	return same, asked
}

// disagreement is the error of a table whose rows do not agree.
func disagreement(rows []row) error {
	for _, r := range rows {
		if r.Answers == "" {
			continue
		}
		if same, _ := agreeing(r.Answers, netpoldAt(rows, r.size).Answers); same != peers.Agreed {
			return fmt.Errorf("%s at %v answers %d of %d questions as netpold does; what it times is not the same work", r.peer, r.size, same, peers.Agreed)
		}
	}
	return nil
}
