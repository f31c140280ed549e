package flows_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// atSecond returns a time, in seconds since an hour.
func atSecond(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0).UTC() }

// F2: the first reason that applies is told, and a time that nobody knows is in every window.
func TestF2NotAsked(t *testing.T) {
	t.Parallel()
	window := flows.Window{Since: atSecond(10), Until: atSecond(20)}
	for _, test := range []struct {
		why  flows.Why
		time time.Time
		want flows.Why
	}{
		{"", atSecond(10), ""},
		{"", atSecond(19), ""},
		{"", time.Time{}, ""},
		{"", atSecond(9), flows.OutOfTime},
		{"", atSecond(20), flows.OutOfTime},
		{flows.Malformed, atSecond(9), flows.Malformed},
		{flows.NotAFlow, atSecond(9), flows.NotAFlow},
		{flows.NotL4, atSecond(9), flows.OutOfTime},
		{flows.Reply, atSecond(9), flows.OutOfTime},
		{flows.NotL4, atSecond(15), flows.NotL4},
		{flows.Reply, time.Time{}, flows.Reply},
	} {
		if got := window.NotAsked(&flows.Record{Why: test.why, Time: test.time}); got != test.want {
			t.Errorf("%q at %v: %q, want %q", test.why, test.time, got, test.want)
		}
	}
	if got := (flows.Window{}).NotAsked(&flows.Record{Time: atSecond(0)}); got != "" {
		t.Errorf("without a window: %q", got)
	}
}

// F4: what agrees, for every reason, observation and direction.
func TestF4Compared(t *testing.T) {
	t.Parallel()
	const a, d = flows.Agrees, flows.Disagrees
	for _, test := range []struct {
		observed  flows.Observed
		direction flows.Direction
		// for not isolated, denied at egress, denied at ingress
		want [3]flows.Comparison
	}{
		{flows.ObservedAllowed, flows.AtEgress, [3]flows.Comparison{a, d, a}},
		{flows.ObservedDenied, flows.AtEgress, [3]flows.Comparison{d, a, d}},
		{flows.ObservedAllowed, flows.AtIngress, [3]flows.Comparison{a, d, d}},
		{flows.ObservedDenied, flows.AtIngress, [3]flows.Comparison{d, a, a}},
		{flows.ObservedAllowed, flows.NoDirection, [3]flows.Comparison{a, d, d}},
		{flows.ObservedDenied, flows.NoDirection, [3]flows.Comparison{d, a, a}},
	} {
		for i, reason := range []engine.Reason{engine.NotIsolated, engine.DeniedAtEgress, engine.DeniedAtIngress} {
			r := flows.Record{Observed: test.observed, Direction: test.direction}
			got := flows.Judge(&r, &flows.Answer{Reason: reason})
			if got != (flows.Judgement{Compared: test.want[i]}) {
				t.Errorf("observed %d at %d, %d: %+v, want %v", test.observed, test.direction, reason, got, test.want[i])
			}
		}
	}
}

// F3: each reason is told, and before all reasons behind it.
func TestF3NotCompared(t *testing.T) {
	t.Parallel()
	end := func() flows.End {
		return flows.End{IP: netip.MustParseAddr("10.0.0.1"), Namespace: "shop", Pod: "web-0"}
	}
	// Everything is wrong with the record; each step mends what comes first.
	r := flows.Record{Time: atSecond(10), Src: end(), Dst: end()}
	a := flows.Answer{
		Src: flows.Party{Namespace: "shop", Pod: "web-0", Created: atSecond(9), NewestPolicy: atSecond(10)},
		Dst: flows.Party{Namespace: "shop", Pod: "web-1", Created: atSecond(11), NewestPolicy: atSecond(11)},
	}
	check := func(want flows.Judgement) {
		t.Helper()
		if got := flows.Judge(&r, &a); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	check(flows.Judgement{Why: flows.Unresolved})
	a.Reason = engine.DeniedAtIngress
	check(flows.Judgement{Why: flows.NoVerdict})
	r.Observed = flows.ObservedAllowed
	check(flows.Judgement{Why: flows.Moved})
	a.Dst.Pod = "web-0"
	check(flows.Judgement{Why: flows.PodYounger})
	a.Dst.Created = atSecond(10)
	check(flows.Judgement{Why: flows.PolicyYounger})
	r.Observed = flows.ObservedDenied
	check(flows.Judgement{Compared: flows.Agrees}) // a younger policy matters to a disagreement alone
	r.Observed, a.Dst.NewestPolicy = flows.ObservedAllowed, atSecond(10)
	check(flows.Judgement{Compared: flows.Disagrees})
	a.Src.NewestPolicy = atSecond(11)
	check(flows.Judgement{Why: flows.PolicyYounger})
	r.Time = time.Time{} // nothing is younger than nobody knows when
	a.Src.Created = atSecond(100)
	check(flows.Judgement{Compared: flows.Disagrees})
	// The same name in another namespace is another Pod. A record may leave the namespace out.
	r.Src.Namespace = "other"
	check(flows.Judgement{Why: flows.Moved})
	r.Src.Namespace = ""
	check(flows.Judgement{Compared: flows.Disagrees})
	// The owner of an address now may be no Pod.
	a.Src = flows.Party{Name: "10.0.0.0/24"}
	check(flows.Judgement{Why: flows.Moved})
	r.Src.IP = netip.Addr{} // asked by a word, not by an address
	check(flows.Judgement{Compared: flows.Disagrees})
}
