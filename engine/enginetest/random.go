package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// Random makes random small clusters, orders of events and questions. It is biased so that everything in them
// collides: few names, labels and addresses, which many objects share, and values at the ends of their
// ranges.
//
// Equal seeds give equal sequences, so that a failure is repeated by its seed. It is not safe for concurrent
// use.
type Random struct {
	rand *rand.Rand
	// few is how many of the names, labels and addresses this cluster uses mostly, so that some clusters are
	// crowded.
	few int
	// tiers reports whether there are cluster-wide policies, and labels of Nodes.
	tiers bool
}

// WithTiers makes r add cluster-wide policies and labels of Nodes from now on, and returns r.
func (r *Random) WithTiers() *Random {
	r.tiers = true
	return r
}

// NewRandom returns a Random of a seed, without tiers.
func NewRandom(seed uint64) *Random {
	r := &Random{rand: rand.New(rand.NewPCG(seed, 0x6e6574706f6c64))}
	r.few = 2 + r.rand.IntN(6)
	return r
}

// one returns one of the words: in crowded clusters nearly always one of the first few.
func one[T any](r *Random, words ...T) T {
	if len(words) > r.few && !r.chance(5) {
		words = words[:r.few]
	}
	return words[r.rand.IntN(len(words))]
}

// pick returns one of the words, each as likely as any other.
func pick[T any](r *Random, words ...T) T { return words[r.rand.IntN(len(words))] }

// chance returns true in percent of a hundred cases.
func (r *Random) chance(percent int) bool { return r.rand.IntN(100) < percent }

// some returns up to most results of make. No results are nil or an empty list, which the engine must take
// alike.
func some[T any](r *Random, most int, make func() T) []T {
	var list []T
	if r.chance(10) {
		list = []T{}
	}
	for range r.rand.IntN(most + 1) {
		list = append(list, make())
	}
	return list
}

// addrs returns the addresses that words name.
func addrs(words ...string) []netip.Addr {
	list := make([]netip.Addr, len(words))
	for i, w := range words {
		list[i] = netip.MustParseAddr(w)
	}
	return list
}

// podAddrs returns the addresses that Pods mostly have. Those of the other kinds lie close by, so that blocks
// of few bits hold several kinds.
func podAddrs() []netip.Addr {
	return addrs("10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3", "fd00::2", "10.0.0.4", "fd00::3",
		"10.0.0.128", "10.0.0.255", "fd00:1::1")
}

// nodeAddrs returns the addresses that Nodes mostly have.
func nodeAddrs() []netip.Addr {
	return addrs("10.0.1.1", "fd00:2::1", "10.0.1.2", "fd00:2::2", "10.0.1.3", "192.0.2.7")
}

// serviceAddrs returns the addresses that Services mostly have.
func serviceAddrs() []netip.Addr {
	return addrs("10.0.2.1", "fd00:3::1", "10.0.2.2", "198.51.100.1", "fd00:3::2")
}

// externalAddrs returns addresses that mostly nobody in the cluster has.
func externalAddrs() []netip.Addr {
	return addrs("198.51.100.9", "2001:db8::9", "0.0.0.0", "255.255.255.255", "::1", "fe80::1")
}

// addr returns an address mostly of the usual ones, and now and then of another kind.
func (r *Random) addr(usual []netip.Addr) netip.Addr {
	if r.chance(8) {
		usual = pick(r, podAddrs(), nodeAddrs(), serviceAddrs(), externalAddrs())
	}
	return one(r, usual...)
}

// What follows returns names and values: few, so that they meet, and the most telling first, since crowded
// clusters have only these.

func (r *Random) namespace() string { return one(r, "a", "b", "a-b", "c") }
func (r *Random) nodeName() string  { return one(r, "n1", "n2", "n3") }
func (r *Random) podName() string   { return fmt.Sprintf("p%d", r.rand.IntN(r.few+1)) }
func (r *Random) service() string   { return one(r, "s", "t", "u") }
func (r *Random) key() string {
	return one(r, "app", "tier", "env", "kubernetes.io/metadata.name")
}
func (r *Random) value() string { return one(r, "x", "y", "", "a", "z", "b") }
func (r *Random) port() uint16 {
	return one[uint16](r, 80, 8080, 81, 1, 65535, 443, 8081, 65534, 2)
}
func (r *Random) portName() string { return one(r, "http", "metrics", "dns", "nobody") }

func (r *Random) protocol() engine.Protocol {
	return pick(r, engine.TCP, engine.TCP, engine.UDP, engine.SCTP)
}

// labels returns labels of a Pod, a Namespace or a Node; sometimes nil.
func (r *Random) labels() map[string]string {
	if r.chance(10) {
		return nil
	}
	labels := map[string]string{}
	for range r.rand.IntN(4) {
		labels[r.key()] = r.value()
	}
	return labels
}

// ips returns the addresses of one object: of both families, of one, several of one, the same twice, or none.
func (r *Random) ips(usual []netip.Addr) []netip.Addr {
	if r.chance(15) {
		return nil
	}
	list := []netip.Addr{r.addr(usual)}
	for r.chance(40) && len(list) < 4 {
		list = append(list, r.addr(usual))
	}
	return list
}

// namedPort returns a named port of a container.
func (r *Random) namedPort() engine.NamedPort {
	return engine.NamedPort{Name: r.portName(), Port: r.port(), Protocol: r.protocol()}
}

// workload returns a workload, which need not be there.
func (r *Random) workload() engine.Workload {
	return engine.Workload{
		Kind: one(r, "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"),
		Name: one(r, "w", "v"),
	}
}

// selector returns a selector of any kind: nil, empty, with every operator, with several requirements on one
// key, or one that nothing can match.
func (r *Random) selector() engine.Selector {
	if r.chance(20) {
		return nil
	}
	return some(r, 2, func() engine.Requirement {
		q := engine.Requirement{
			Key:      r.key(),
			Operator: pick(r, engine.In, engine.In, engine.NotIn, engine.Exists, engine.DoesNotExist),
		}
		if q.Operator == engine.In || q.Operator == engine.NotIn || r.chance(5) {
			q.Values = some(r, 3, r.value)
			if len(q.Values) == 0 && r.chance(80) {
				q.Values = []string{r.value()}
			}
		}
		return q
	})
}

// selectorPointer returns a pointer to a selector, as peers have them.
func (r *Random) selectorPointer() *engine.Selector {
	s := r.selector()
	return &s
}

// prefix returns a prefix around some address, of any length, sometimes with host bits, and rarely an invalid
// one (S23).
func (r *Random) prefix() netip.Prefix {
	if r.chance(3) {
		return netip.Prefix{}
	}
	a := r.addr(pick(r, podAddrs(), podAddrs(), nodeAddrs(), serviceAddrs(), externalAddrs()))
	bits := pick(r, a.BitLen(), 24, 16, 0, 25, 30, 8, a.BitLen()-1, 22, 1)
	if a.Is6() && r.chance(50) {
		bits = pick(r, 64, 48, 128, 127, 8)
	}
	p := netip.PrefixFrom(a, bits)
	if r.chance(90) {
		return p.Masked()
	}
	return p
}

// block returns a block whose exceptions may be inside its CIDR, around it, or elsewhere (S19).
func (r *Random) block() *engine.IPBlock {
	b := &engine.IPBlock{CIDR: r.prefix()}
	if r.chance(50) {
		return b
	}
	b.Except = some(r, 3, func() netip.Prefix {
		if p := b.CIDR; p.IsValid() && r.chance(50) && p.Bits()+2 < p.Addr().BitLen() {
			return netip.PrefixFrom(p.Addr(), p.Bits()+1+r.rand.IntN(2)).Masked()
		}
		return r.prefix()
	})
	return b
}

// peer returns a peer of any shape, invalid ones among them (S16, S23).
func (r *Random) peer() engine.Peer {
	switch n := r.rand.IntN(100); {
	case n < 30:
		return engine.Peer{Pods: r.selectorPointer()}
	case n < 45:
		return engine.Peer{Namespaces: r.selectorPointer()}
	case n < 65:
		return engine.Peer{Namespaces: r.selectorPointer(), Pods: r.selectorPointer()}
	case n < 95:
		return engine.Peer{Block: r.block()}
	case n < 98:
		return engine.Peer{Block: r.block(), Pods: r.selectorPointer()}
	default:
		return engine.Peer{}
	}
}

// rulePort returns a name, a single port, a range of any kind, or a port that matches nothing (S20, S21,
// S23).
func (r *Random) rulePort() engine.Port {
	p := engine.Port{Protocol: r.protocol()}
	switch n := r.rand.IntN(100); {
	case n < 30:
		p.Name = r.portName()
		if r.chance(20) {
			p.First, p.Last = 1, 65535
		}
	case n < 55:
		p.First = r.port()
		p.Last = p.First
	case n < 85:
		p.First, p.Last = r.port(), r.port()
		if p.First > p.Last && r.chance(90) {
			p.First, p.Last = p.Last, p.First
		}
	case n < 95:
		p.First, p.Last = 1, 65535
	default:
		return engine.Port{}
	}
	return p
}

// rule returns a rule. Without peers or ports it matches every one (S15).
func (r *Random) rule() engine.Rule {
	var u engine.Rule
	if r.chance(75) {
		u.Peers = some(r, 3, r.peer)
	}
	if r.chance(65) {
		u.Ports = some(r, 3, r.rulePort)
	}
	return u
}
