package propose

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// DefaultMaxConnections is how many distinct connections an [Observed] tells apart. They take some 50 MB.
const DefaultMaxConnections = 100_000

// maxAsked is how many distinct questions are remembered with their connections.
const maxAsked = 1 << 16

// Mode says which traffic gets rules.
type Mode uint8

// The modes.
const (
	// DefaultDeny isolates every workload of the flows, in both directions, and admits what was seen.
	DefaultDeny Mode = iota
	// Missing admits what was seen and today's policies deny. Nothing is isolated that is not isolated today.
	Missing
)

// Options of an [Observed]. The zero Options are the defaults.
type Options struct {
	Mode Mode
	// Bits4 and Bits6 are how long the ranges are that stand for addresses outside of the cluster; 0 for
	// single addresses.
	Bits4, Bits6 int
	// MaxConnections is how many distinct connections are told apart; 0 for [DefaultMaxConnections].
	MaxConnections int
}

// A Flow is one observed connection.
type Flow struct {
	Query     engine.Query
	Time      time.Time
	Observed  flows.Observed
	Direction flows.Direction
}

// Counts says what became of flows. Each is counted once.
type Counts struct {
	// Admitted are behind the proposals or need none. Exempt are between a Pod and itself or its Node, and
	// NoPod between ends that no NetworkPolicy concerns.
	Admitted, Exempt, NoPod uint64
	// Denied were denied by the network's policies, or are seen at the source alone of a connection that was.
	Denied uint64
	// Unresolved have no answer, and Overflow came when [Options.MaxConnections] were told apart already.
	Unresolved, Overflow uint64
}

// An Observed collects flows by pairs of workloads. Its memory does not grow with their number. It is not safe
// for concurrent use.
type Observed struct {
	snapshot   *engine.Snapshot
	roles      *engine.Roles
	options    Options
	namespaces map[string]*space
	pairs      map[pairKey]*pair
	// parts is how many connections are told apart.
	parts  int
	asked  map[engine.QueryKey]*outcome
	counts Counts
}

// An outcome is what a question stands for.
type outcome struct {
	pairs  []*pair
	exempt bool
	// apart means that a pair has no family in common, so that nothing connects it.
	apart  bool
	failed bool
	full   bool
}

// NewObserved returns an Observed without flows, on a snapshot that stays the same.
func NewObserved(s *engine.Snapshot, o Options) *Observed {
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.Bits4, o.Bits6 = cmp.Or(o.Bits4, 32), cmp.Or(o.Bits6, 128)
	return &Observed{
		snapshot: s, roles: s.NewRoles(false), options: o, namespaces: map[string]*space{},
		pairs: map[pairKey]*pair{}, asked: map[engine.QueryKey]*outcome{},
	}
}

// Add counts a flow.
func (o *Observed) Add(f *Flow) {
	found := o.ask(&f.Query)
	switch {
	case found.full:
		o.counts.Overflow++
	case found.failed:
		o.counts.Unresolved++
	case len(found.pairs) == 0 && found.exempt:
		o.counts.Exempt++
	case len(found.pairs) == 0:
		o.counts.NoPod++
	}
	for i, p := range found.pairs {
		p.count(f, i == 0)
	}
}

// ask returns what a question stands for.
func (o *Observed) ask(q *engine.Query) *outcome {
	key, ok := q.Key()
	if found := o.asked[key]; ok && found != nil {
		return found
	}
	found := o.resolve(q)
	if ok {
		if len(o.asked) >= maxAsked {
			clear(o.asked)
		}
		o.asked[key] = found
	}
	return found
}

// errNoRoom means that no more connections can be told apart.
var errNoRoom = errors.New("too many connections")

// resolve finds the pairs of a question.
func (o *Observed) resolve(q *engine.Query) *outcome {
	found := new(outcome)
	sources, err := o.roles.Ends(q.Src, false)
	if err != nil {
		found.failed = true
		return found
	}
	targets, err := o.targets(q)
	if err != nil {
		found.failed = true
		return found
	}
	for i := range sources {
		for j := range targets {
			err := o.pair(found, asked{&sources[i], q.Src, len(sources) > 1}, targets[j], q.Protocol)
			switch {
			case errors.Is(err, errNoRoom):
				return &outcome{full: true}
			case err != nil:
				return &outcome{failed: true}
			}
		}
	}
	found.failed = found.apart && len(found.pairs) == 0 && !found.exempt
	return found
}

// A target is a destination of a question and its port: of a Service, an endpoint.
type target struct {
	asked
	port uint16
	// service means that a Service stands for it, and backend that other families than the source's do not count.
	service, backend bool
}

// An asked is an end, and the endpoint that it was asked by. one means that the endpoint stands for others too.
type asked struct {
	end *engine.RoleEnd
	by  engine.Endpoint
	one bool
}

// endpoint returns what to ask about this end alone.
func (a *asked) endpoint() engine.Endpoint {
	if a.one {
		return engine.ByPod(a.end.Namespace, a.end.Name)
	}
	return a.by
}

// targets returns the destinations of a question.
func (o *Observed) targets(q *engine.Query) ([]target, error) {
	ends, err := o.roles.Ends(q.Dst, true)
	if err != nil {
		return nil, fmt.Errorf("the destination: %w", err)
	}
	var list []target
	for i := range ends {
		e := &ends[i]
		if e.Kind != engine.RoleService {
			list = append(list, target{asked{e, q.Dst, len(ends) > 1}, q.Port, false, false})
			continue
		}
		backends := o.snapshot.ServiceTargets(e.Namespace, e.Name, q.Port, q.Protocol)
		if len(backends) == 0 {
			return nil, errors.New("the Service has no endpoint")
		}
		for _, b := range backends {
			by := engine.ByPod(e.Namespace, b.Pod)
			if b.IP.IsValid() {
				by = engine.ByIP(b.IP)
			}
			behind, err := o.roles.Ends(by, true)
			if err != nil || len(behind) != 1 || behind[0].Kind == engine.RoleService {
				continue // as Allowed leaves it out (S24)
			}
			list = append(list, target{asked{&behind[0], by, false}, b.Port, true, b.IP.IsValid()})
		}
	}
	return list, nil
}

// pair adds the pair of two ends to an outcome.
func (o *Observed) pair(found *outcome, src asked, dst target, protocol engine.Protocol) error {
	q := engine.Query{Src: src.endpoint(), Dst: dst.endpoint(), Port: dst.port, Protocol: protocol}
	if src.end.Kind == engine.RoleService {
		return errors.New("the address of a Service opens no connection")
	}
	if src.end.Kind == engine.RoleHypothetical || dst.end.Kind == engine.RoleHypothetical {
		return nil
	}
	if to := dst.end.IPs; dst.backend && len(to) > 0 && !o.shares(&src, q.Dst) {
		found.apart = true
		return nil
	}
	d, err := o.snapshot.Allowed(q)
	if err != nil {
		return fmt.Errorf("the pair: %w", err)
	}
	if d.Reason == engine.Self || d.Reason == engine.LocalNode {
		found.exempt = true
		return nil
	}
	families := o.snapshot.FamiliesOf(q.Src) & o.snapshot.FamiliesOf(q.Dst)
	from, to := o.endOf(src.end, families), o.endOf(dst.end, families)
	if from.Unit == nil && to.Unit == nil {
		return nil
	}
	if families == 0 && (from.Unit == nil || to.Unit == nil) {
		if dst.service {
			found.apart = true
			return nil // as a family that the source cannot choose
		}
		return errors.New("an address of a family that the Pod has none in") // nothing connects them
	}
	key := pairKey{from.key(), to.key(), protocol, dst.port}
	p := o.pairs[key]
	if p == nil {
		p = &pair{Src: from, Dst: to, Port: dst.port, Protocol: protocol, parts: map[partKey]*part{}}
	}
	role := partKey{src.end.Source, dst.end.Destination, families}
	if p.parts[role] == nil {
		if o.parts >= o.options.MaxConnections {
			return errNoRoom
		}
		o.parts++
		o.pairs[key] = p
		p.parts[role] = &part{
			Query: q, Before: d,
			needs: [directions]need{needOf(from.Unit, &d.Egress), needOf(to.Unit, &d.Ingress)},
		}
	}
	for _, before := range found.pairs {
		if before == p {
			return nil
		}
	}
	found.pairs = append(found.pairs, p)
	return nil
}

// shares reports whether a source has an address in a family of a destination, or has none at all.
func (o *Observed) shares(src *asked, dst engine.Endpoint) bool {
	from := o.snapshot.FamiliesOf(src.endpoint())
	return from == 0 || from&o.snapshot.FamiliesOf(dst) != 0
}

// endOf returns an end as rules have it: for what no selector matches, its first address in some families, of
// which one is enough (S4).
func (o *Observed) endOf(e *engine.RoleEnd, families engine.Families) End {
	if e.Kind == engine.RolePod {
		return End{Unit: o.unitOf(e.Namespace, e.Workload, e.Name)}
	}
	end := End{Node: e.Node, hidden: true}
	if e.Kind == engine.RoleNode {
		end.Node = e.Name
	}
	for _, ip := range e.IPs {
		family, widened := engine.IPv6, o.options.Bits6
		if ip.Is4() {
			family, widened = engine.IPv4, o.options.Bits4
		}
		if families&family == 0 {
			continue
		}
		bits := widened
		if e.Kind != engine.RoleOutside {
			bits = ip.BitLen()
		}
		end.CIDRs = []netip.Prefix{netip.PrefixFrom(ip, bits).Masked()}
		end.hidden = e.Kind != engine.RoleOutside && o.snapshot.Options().IPBlockIgnoresPods
		break
	}
	return end
}
