package propose

import (
	"net/netip"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// Direction is a direction of a workload's traffic, as an index.
type Direction uint8

// The directions.
const (
	Egress Direction = iota
	Ingress
	directions
)

// String returns the direction as people write it.
func (d Direction) String() string {
	if d == Egress {
		return "egress"
	}
	return "ingress"
}

// An End is one end of observed connections: a Unit, or addresses that no selector of Pods matches.
type End struct {
	// Unit is nil for addresses.
	Unit *Unit
	// CIDRs has the address or range, and Node is the Node that has it; empty for an outside one.
	CIDRs []netip.Prefix
	Node  string
	// hidden means that it is of a Node, and that no block matches Nodes (S19), or that it has no address yet.
	hidden bool
}

// Named reports whether a rule can have the end as a peer.
func (e *End) Named() bool {
	if e.Unit != nil {
		return e.Unit.Selector != nil
	}
	return !e.hidden
}

// An endKey names an end.
type endKey struct {
	unit *Unit
	cidr netip.Prefix
}

func (e *End) key() endKey {
	k := endKey{unit: e.Unit}
	if e.Unit == nil && len(e.CIDRs) > 0 {
		k.cidr = e.CIDRs[0]
	}
	return k
}

type pairKey struct {
	src, dst endKey
	protocol engine.Protocol
	port     uint16
}

// A pair is all flows between two ends on one port.
type pair struct {
	Src, Dst End
	Port     uint16
	Protocol engine.Protocol
	// parts are those that today's policies tell apart.
	parts map[partKey]*part

	// records are flows that were not denied; first counts those that count here alone, as a Service stands for
	// several pairs.
	records, first uint64
	Span           flows.Span
	// denied counts denials. proven reports whether the connection was seen to arrive, and lastProof and
	// lastDenied are when it last did or was denied.
	denied, deniedFirst   uint64
	proven                bool
	lastProof, lastDenied time.Time
}

// A partKey has the roles of both ends, and the families that they share.
type partKey struct {
	source, destination uint32
	families            engine.Families
}

// A part is the connections of a pair that today's policies do not tell apart.
type part struct {
	// Query asks about one of them.
	Query  engine.Query
	Before engine.Decision
	needs  [directions]need
}

// need says what a side of a part needs to be allowed.
type need uint8

const (
	// needsNothing means that it is allowed by a rule, or that no NetworkPolicy concerns the end.
	needsNothing need = iota
	// needsIfIsolated means that nothing isolates the end: it needs a rule once something does.
	needsIfIsolated
	// needsRule means that NetworkPolicies isolate the end and deny.
	needsRule
	// needsBaseline means that a baseline policy denies, so that a NetworkPolicy that isolates the end and has
	// a rule allows it.
	needsBaseline
	// cannot means that a policy of the admin tier denies, before every NetworkPolicy.
	cannot
)

// needOf returns what a side needs. unit is nil for an end that no NetworkPolicy concerns.
func needOf(unit *Unit, side *engine.Side) need {
	switch {
	case unit == nil:
		return needsNothing
	case side.Tier == engine.Admin && side.Allowed:
		return needsNothing
	case side.Tier == engine.Admin:
		return cannot
	case side.Isolated && side.Allowed:
		return needsNothing
	case side.Isolated:
		return needsRule
	case side.Allowed:
		return needsIfIsolated
	}
	return needsBaseline
}

// needs reports whether some part of the pair needs any of the needs.
func (p *pair) needs(d Direction, any ...need) bool {
	for _, part := range p.parts {
		for _, n := range any {
			if part.needs[d] == n {
				return true
			}
		}
	}
	return false
}

// count counts a flow. first reports whether it counts here in totals.
func (p *pair) count(f *Flow, first bool) {
	if f.Observed == flows.ObservedDenied {
		p.denied++
		if first {
			p.deniedFirst++
		}
		if f.Time.After(p.lastDenied) {
			p.lastDenied = f.Time
		}
		return
	}
	p.records++
	if first {
		p.first++
	}
	if f.Direction != flows.AtEgress {
		p.proven = true
		if f.Time.After(p.lastProof) {
			p.lastProof = f.Time
		}
	}
	p.Span.Add(f.Time)
}

// counts reports whether the flows of the pair get rules. What the network denied does not, unless the
// connection was seen to arrive after the last denial.
func (p *pair) counts() bool {
	return p.records > 0 && (p.denied == 0 || p.proven && p.lastProof.After(p.lastDenied))
}
