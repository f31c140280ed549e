// Package flowstest writes flow records whose reading is known: a Generator makes Records, the Append
// functions write them in each format, and Expected returns what a reader must read.
package flowstest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// A Generator makes records of a cluster that does not exist. The same seed makes the same records. About one
// record in ten is not asked (F2), for every reason that a line alone can give but Malformed.
type Generator struct {
	rng     *rand.Rand
	time    time.Time
	pods    []flows.End
	outside []flows.End
}

// New returns a Generator.
func New(seed uint64) *Generator {
	g := &Generator{
		rng:  rand.New(rand.NewPCG(seed, 1)),
		time: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC),
	}
	for i := range 2000 {
		app := apps[i%len(apps)]
		ip := netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)})
		if i%10 == 9 {
			ip = netip.AddrFrom16([16]byte{0xfd, 0, 0x10, 14: byte(i >> 8), 15: byte(i)})
		}
		g.pods = append(g.pods, flows.End{
			IP:        ip,
			Namespace: spaces[i%len(spaces)],
			Pod:       fmt.Sprintf("%s-%08x-%05x", app, g.rng.Uint32(), i),
		})
	}
	for i := range 500 {
		ip := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		if i%5 == 4 {
			ip = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)})
		}
		g.outside = append(g.outside, flows.End{IP: ip})
	}
	return g
}

var (
	apps   = []string{"cart", "checkout", "payment", "shipping", "frontend", "catalog", "redis", "ads"}
	spaces = []string{"shop", "shop-staging", "payments", "monitoring", "kube-system", "ingress", "data"}
	ports  = []uint16{80, 443, 53, 5432, 6379, 8080, 8443, 9090, 3306, 65535}
	kinds  = []string{"NetworkPolicy", "CiliumNetworkPolicy"}
)

// Next returns the next record, as it is read from Hubble. Its File and Line are not set.
func (g *Generator) Next() flows.Record {
	g.time = g.time.Add(time.Duration(g.rng.IntN(40_000_000)))
	rec := flows.Record{
		Time:      g.time,
		Src:       g.end(),
		Dst:       g.end(),
		Port:      ports[g.rng.IntN(len(ports))],
		Protocol:  engine.Protocol(max(0, g.rng.IntN(6)-3)),
		Observed:  flows.Observed(g.rng.IntN(3)),
		Direction: flows.Direction(g.rng.IntN(3)),
	}
	if rec.Observed == flows.ObservedAllowed && g.rng.IntN(4) == 0 {
		rec.AllowedBy = g.policies()
	}
	if rec.Observed == flows.ObservedDenied && g.rng.IntN(4) == 0 {
		rec.DeniedBy = g.policies()
	}
	switch g.rng.IntN(40) {
	case 0:
		rec = flows.Record{Time: rec.Time, Why: flows.NotAFlow}
	case 1, 2:
		rec.Why = flows.NotL4
		if rec.Port%2 == 0 {
			rec.Port, rec.Protocol = 0, engine.TCP
		}
	case 3, 4:
		rec.Why = flows.Reply
	}
	return rec
}

func (g *Generator) end() flows.End {
	if g.rng.IntN(8) == 0 {
		return g.outside[g.rng.IntN(len(g.outside))]
	}
	return g.pods[g.rng.IntN(len(g.pods))]
}

func (g *Generator) policies() []string {
	list := make([]string, 1+g.rng.IntN(2))
	for i := range list {
		list[i] = kinds[g.rng.IntN(len(kinds))] + " " + spaces[g.rng.IntN(len(spaces))] + "/" +
			apps[g.rng.IntN(len(apps))]
		if g.rng.IntN(10) == 0 {
			list[i] = "CiliumClusterwideNetworkPolicy baseline"
		}
	}
	return list
}

// Records returns the first n records of a seed.
func Records(seed uint64, n int) []flows.Record {
	g := New(seed)
	list := make([]flows.Record, n)
	for i := range list {
		list[i] = g.Next()
	}
	return list
}

// Append appends a record's line, with its ending, in a format other than Auto. CSV has the columns of
// Header.
func Append(to []byte, format flows.Format, rec *flows.Record) []byte {
	switch format {
	case flows.Hubble:
		return AppendHubble(to, rec)
	case flows.JSONL:
		return AppendJSONL(to, rec)
	case flows.CSV:
		return AppendCSV(to, rec)
	case flows.Decisions:
		return AppendDecision(to, rec)
	default:
		panic("records are not written in format " + format)
	}
}

// Write writes the header, if the format has one, and the records.
func Write(w io.Writer, format flows.Format, records []flows.Record) error {
	var line []byte
	if format == flows.CSV {
		line = append(line, Header...)
	}
	for i := range records {
		line = Append(line, format, &records[i])
		if _, err := w.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	return nil
}

// Expected returns what a reader must read of a record that was written in a format, but for its File and
// Line. The Problem of a Malformed record is the reader's own.
func Expected(format flows.Format, rec flows.Record) flows.Record {
	if rec.Why == flows.Malformed {
		return flows.Record{Why: flows.Malformed}
	}
	if format == flows.Hubble {
		return rec
	}
	rec.AllowedBy, rec.DeniedBy = nil, nil
	rec.Src.Namespace, rec.Src.Pod = "", ""
	rec.Dst.Namespace, rec.Dst.Pod = "", ""
	if format != flows.Decisions {
		if rec.Why == flows.NotL4 {
			rec.Port, rec.Protocol = 0, engine.TCP
		}
		return rec
	}
	read := flows.Record{Time: rec.Time, Observed: rec.Observed}
	if rec.Why == flows.NotAFlow {
		read.Why = flows.NotAFlow
		return read
	}
	read.Question = appendQuestion(nil, &rec)
	return read
}
