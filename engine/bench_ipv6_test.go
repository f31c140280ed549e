package engine_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// A turn is one of the lines of a benchmark that take turns.
type turn struct {
	name  string
	pairs [][2]netip.Addr
	// ask asks about pairs, and returns how many are allowed.
	ask func(pairs [][2]netip.Addr) int
	// least has the least time that a stretch of the pairs took, for each stretch.
	least []time.Duration
}

// stretch is how many pairs are timed together: in most rounds nothing interrupts them, whatever else the machine does.
const stretch = 1024

// askDirect returns what asks for the reason alone.
func askDirect(b *testing.B, s *engine.Snapshot) func([][2]netip.Addr) int {
	return func(pairs [][2]netip.Addr) (allowed int) {
		for i := range pairs {
			reason, err := reasonOf(s, pairs[i][0], pairs[i][1], 8080)
			if err != nil {
				b.Fatal(err)
			}
			if reason.Allowed() {
				allowed++
			}
		}
		return allowed
	}
}

// askByIP returns what asks for whole decisions.
func askByIP(b *testing.B, s *engine.Snapshot) func([][2]netip.Addr) int {
	return func(pairs [][2]netip.Addr) (allowed int) {
		for i := range pairs {
			d, err := s.Allowed(engine.Query{Src: engine.ByIP(pairs[i][0]), Dst: engine.ByIP(pairs[i][1]), Port: 8080})
			if err != nil {
				b.Fatal(err)
			}
			if d.Allowed {
				allowed++
			}
		}
		return allowed
	}
}

// round asks about all pairs, and returns how many are allowed.
func (l *turn) round() (allowed int) {
	i := 0
	for pairs := range slices.Chunk(l.pairs, stretch) {
		start := time.Now()
		allowed += l.ask(pairs)
		took := time.Since(start)
		if i == len(l.least) {
			l.least = append(l.least, took)
		}
		l.least[i] = min(l.least[i], took)
		i++
	}
	return allowed
}

// takeTurns asks the lines in turn, each of them first as often as any other, and reports the time of a question in the
// fastest rounds of each. All lines must allow as many.
func takeTurns(b *testing.B, lines []*turn) {
	rounds, want := 0, lines[0].round()
	for b.Loop() {
		for i := range lines {
			l := lines[(i+rounds)%len(lines)]
			if allowed := l.round(); allowed != want {
				b.Fatalf("%s: %d of %d are allowed, %s: %d", l.name, allowed, len(l.pairs), lines[0].name, want)
			}
		}
		rounds++
	}
	b.ReportMetric(0, "ns/op")
	for _, l := range lines {
		var all time.Duration
		for _, d := range l.least {
			all += d
		}
		b.ReportMetric(float64(all)/float64(len(l.pairs)), l.name+"-ns")
	}
}

// BenchmarkIPv6 measures decisions by IPv6 addresses beside those by IPv4 addresses in one dual-stack cluster, and those by
// IPv4 addresses in the same cluster without IPv6: between Pods, and from outside the cluster to Pods, where half of the
// sources lie in some block. Give it -benchtime 3000x for hot traffic, and 40x for other.
func BenchmarkIPv6(b *testing.B) {
	for _, size := range sizes() {
		told := synthetic.New(size) // not the one that other benchmarks change
		single := engine.NewCluster(engine.Options{}).Apply(told.Changes()...)
		dual := engine.NewCluster(engine.Options{}).Apply(synthetic.NewDualStack(size).Changes()...)
		for _, kind := range traffic {
			n := asked
			if kind == "hot" {
				n = stretch
			}
			inside := addressPairs(told, kind, n)
			outside := slices.Clone(inside)
			for i := range outside {
				net := byte(203 + i%2)
				outside[i][0] = netip.AddrFrom4([4]byte{net, byte(i * 37 >> 3), byte(i * 101 >> 2), byte(i)})
			}
			for _, of := range []struct {
				name string
				four [][2]netip.Addr
			}{{"pods", inside}, {"outside", outside}} {
				six := make([][2]netip.Addr, n)
				for i, pair := range of.four {
					six[i] = [2]netip.Addr{synthetic.IPv6(pair[0]), synthetic.IPv6(pair[1])}
				}
				b.Run(fmt.Sprintf("%v/%s/%s", size, kind, of.name), func(b *testing.B) {
					takeTurns(b, []*turn{
						{name: "direct4-alone", pairs: of.four, ask: askDirect(b, single)},
						{name: "direct4", pairs: of.four, ask: askDirect(b, dual)},
						{name: "direct6", pairs: six, ask: askDirect(b, dual)},
						{name: "ip4-alone", pairs: of.four, ask: askByIP(b, single)},
						{name: "ip4", pairs: of.four, ask: askByIP(b, dual)},
						{name: "ip6", pairs: six, ask: askByIP(b, dual)},
					})
				})
			}
		}
	}
}

// BenchmarkHeavyIPv6 measures decisions about a Pod that 294 policies of 68 rules with address ranges of both families select,
// from addresses of either, as [BenchmarkHeavy] does for IPv4. Give it -benchtime 3000x.
func BenchmarkHeavyIPv6(b *testing.B) {
	told := synthetic.NewDualStack(synthetic.Sizes[1])
	changes, heavy := told.Changes(), told.Pods[0]
	policies := synthetic.Heavy(heavy, 294, 68)
	synthetic.AddIPv6Blocks(policies)
	for _, p := range policies {
		for i := range p.Ingress { // so that the port that is asked meets every list of ports
			p.Ingress[i].Ports[0].First, p.Ingress[i].Ports[0].Last = 8000+uint16(i), 8080+uint16(i)
		}
		changes = append(changes, engine.Change{Object: p})
	}
	s := engine.NewCluster(engine.Options{}).Apply(changes...)
	four, six := make([][2]netip.Addr, stretch), make([][2]netip.Addr, stretch)
	for i := range four {
		from := netip.AddrFrom4([4]byte{byte(11 + i%180), byte(i / 4), 7, 7})
		four[i] = [2]netip.Addr{from, heavy.IPs[0]}
		six[i] = [2]netip.Addr{synthetic.IPv6(from), heavy.IPs[1]}
	}
	takeTurns(b, []*turn{
		{name: "direct4", pairs: four, ask: askDirect(b, s)},
		{name: "direct6", pairs: six, ask: askDirect(b, s)},
		{name: "ip4", pairs: four, ask: askByIP(b, s)},
		{name: "ip6", pairs: six, ask: askByIP(b, s)},
	})
}

// BenchmarkApplyIPv6 measures a Pod's new address of either family in a dual-stack cluster, up to the published snapshot, and
// a new IPv4 address in the same cluster without IPv6. A change takes what 64 in turn do, in the fastest rounds.
func BenchmarkApplyIPv6(b *testing.B) {
	for _, size := range sizes() {
		single, dual := synthetic.New(size), synthetic.NewDualStack(size)
		alone, held := engine.NewCluster(engine.Options{}), engine.NewCluster(engine.Options{})
		alone.Apply(single.Changes()...)
		held.Apply(dual.Changes()...)
		b.Run(size.String(), func(b *testing.B) {
			n, least := 0, [3]time.Duration{time.Hour, time.Hour, time.Hour}
			for b.Loop() {
				for line := range least {
					start := time.Now()
					for range 64 {
						n++
						fresh := netip.AddrFrom4([4]byte{10, byte(128 + n>>16&127), byte(n >> 8), byte(n)})
						told, to := dual, held
						if line == 0 {
							told, to = single, alone
						}
						p := *told.Pods[n*7919%len(told.Pods)]
						p.IPs = slices.Clone(p.IPs)
						if line == 2 {
							p.IPs[1] = synthetic.IPv6(fresh)
						} else {
							p.IPs[0] = fresh
						}
						to.Apply(engine.Change{Object: &p})
					}
					least[line] = min(least[line], time.Since(start))
				}
			}
			b.ReportMetric(0, "ns/op")
			for line, name := range [...]string{"ipv4-alone-µs", "ipv4-µs", "ipv6-µs"} {
				b.ReportMetric(float64(least[line])/64e3, name)
			}
		})
	}
}
