package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/netpold/netpold/engine"
)

// Random makes random small clusters, orders of events and questions, biased so that everything in them collides. It is not safe
// for concurrent use. Equal seeds give equal sequences.
type Random struct {
	rand *rand.Rand
	// few says how many of the names, labels and addresses this cluster uses, so that some clusters are crowded.
	few int
	// tiers means that there are cluster-wide policies, and labels of Nodes.
	tiers bool
}

// WithTiers adds cluster-wide policies, and labels of Nodes, to what r makes.
func (r *Random) WithTiers() *Random {
	r.tiers = true
	return r
}

// NewRandom is a Random of a seed.
func NewRandom(seed uint64) *Random {
	r := &Random{rand: rand.New(rand.NewPCG(seed, 0x6e6574706f6c64))}
	r.few = 2 + r.rand.IntN(6)
	return r
}

// one picks one of the words, the later ones less in crowded clusters.
func one[T any](r *Random, words ...T) T {
	if len(words) > r.few && !r.chance(5) {
		words = words[:r.few]
	}
	return words[r.rand.IntN(len(words))]
}

// pick picks one of the words, all alike.
func pick[T any](r *Random, words ...T) T { return words[r.rand.IntN(len(words))] }

// chance is true in percent of a hundred cases.
func (r *Random) chance(percent int) bool { return r.rand.IntN(100) < percent }

// some are up to most results of make; sometimes nil, sometimes empty.
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

func addrs(words ...string) []netip.Addr {
	list := make([]netip.Addr, len(words))
	for i, w := range words {
		list[i] = netip.MustParseAddr(w)
	}
	return list
}

func podAddrs() []netip.Addr {
	return addrs("10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3", "fd00::2", "10.0.0.4", "fd00::3", "10.0.0.128", "10.0.0.255", "fd00:1::1")
}

func nodeAddrs() []netip.Addr {
	return addrs("10.0.1.1", "fd00:2::1", "10.0.1.2", "fd00:2::2", "10.0.1.3", "192.0.2.7")
}

func serviceAddrs() []netip.Addr {
	return addrs("10.0.2.1", "fd00:3::1", "10.0.2.2", "198.51.100.1", "fd00:3::2")
}

func externalAddrs() []netip.Addr {
	return addrs("198.51.100.9", "2001:db8::9", "0.0.0.0", "255.255.255.255", "::1", "fe80::1")
}

// addr is an address mostly of the given kind, and now and then of another.
func (r *Random) addr(usual []netip.Addr) netip.Addr {
	if r.chance(8) {
		usual = pick(r, podAddrs(), nodeAddrs(), serviceAddrs(), externalAddrs())
	}
	return one(r, usual...)
}

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

// ips are dual-stack, of one family, several of one, or none.
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

func (r *Random) namedPort() engine.NamedPort {
	return engine.NamedPort{Name: r.portName(), Port: r.port(), Protocol: r.protocol()}
}

func (r *Random) workload() engine.Workload {
	return engine.Workload{
		Kind: one(r, "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"),
		Name: one(r, "w", "v"),
	}
}

// selector is nil, empty, impossible, with every operator, with several requirements on one key.
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

func (r *Random) selectorPointer() *engine.Selector {
	s := r.selector()
	return &s
}

// prefix is a block around some address, of any length, sometimes with host bits.
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

// peer is of any shape, wrong ones among them.
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

// rulePort is a name, a single port, a range of any kind, or one that matches nothing.
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
