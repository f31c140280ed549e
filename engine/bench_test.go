package engine_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// built returns the clusters that benchmarks share: building the largest takes seconds.
var built = func() func(synthetic.Size) (*synthetic.Cluster, *engine.Cluster) {
	type pair struct {
		told *synthetic.Cluster
		held *engine.Cluster
	}
	var mu sync.Mutex
	all := map[synthetic.Size]pair{}
	return func(size synthetic.Size) (*synthetic.Cluster, *engine.Cluster) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := all[size]; !ok {
			p := pair{synthetic.New(size), engine.NewCluster(engine.Options{})}
			p.held.Apply(p.told.Changes()...)
			all[size] = p
		}
		return all[size].told, all[size].held
	}
}()

// traffic names an order of access: 1,024 pairs again and again (hot), Zipf's, or uniformly random.
var traffic = []string{"hot", "zipf", "random"}

// pairs returns indexes of Pods, source and destination, in an order of access.
func pairs(kind string, pods, n int) [][2]int {
	rng := rand.New(rand.NewPCG(7, 7))
	zipf := rand.NewZipf(rng, 1.1, 1, uint64(pods-1))
	shuffled := rng.Perm(pods)
	list := make([][2]int, n)
	for i := range list {
		list[i] = [2]int{rng.IntN(pods), rng.IntN(pods)}
		if kind == "zipf" {
			list[i] = [2]int{shuffled[zipf.Uint64()], shuffled[zipf.Uint64()]}
		}
	}
	return list
}

const asked = 1 << 17

var sink bool

// ask asks queries in turn; n is a power of two.
func ask(b *testing.B, s *engine.Snapshot, n int, query func(i int) engine.Query) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		d, err := s.Allowed(query(i & (n - 1)))
		if err != nil {
			b.Fatal(err)
		}
		sink = d.Allowed
		i++
	}
}

// reasonOf decides as StreamAllowed does: directly if that is possible.
func reasonOf(s *engine.Snapshot, src, dst netip.Addr, port uint16) (engine.Reason, error) {
	if reason, direct := s.AllowedDirect(src, dst, port, engine.TCP); direct {
		return reason, nil
	}
	d, err := s.Allowed(engine.Query{Src: engine.ByIP(src), Dst: engine.ByIP(dst), Port: port})
	return d.Reason, err
}

// direct asks for the reason alone, of pairs and ports in turn; both have a power of two.
func direct(b *testing.B, s *engine.Snapshot, pairs [][2]netip.Addr, ports []uint16) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		pair := &pairs[i&(len(pairs)-1)]
		reason, err := reasonOf(s, pair[0], pair[1], ports[i&(len(ports)-1)])
		if err != nil {
			b.Fatal(err)
		}
		sink = reason.Allowed()
		i++
	}
}

// BenchmarkAllowed measures a decision, by address and by name, beside the two bare look-ups in a Go map that
// it is compared with, at the same addresses in the same order.
func BenchmarkAllowed(b *testing.B) {
	for _, size := range sizes() {
		told, held := built(size)
		s := held.Snapshot()
		bare := make(map[netip.Addr]*engine.Pod, len(told.Pods))
		for _, p := range told.Pods {
			bare[p.IPs[0]] = p
		}
		for _, kind := range traffic {
			n := asked
			if kind == "hot" {
				n = 1024
			}
			order := pairs(kind, len(told.Pods), n)
			ips := addressPairs(told, kind, n)
			b.Run(fmt.Sprintf("%v/%s/map", size, kind), func(b *testing.B) {
				i := 0
				for b.Loop() {
					pair := &ips[i&(n-1)]
					sink = bare[pair[0]] == bare[pair[1]]
					i++
				}
			})
			b.Run(fmt.Sprintf("%v/%s/direct", size, kind), func(b *testing.B) {
				direct(b, s, ips, []uint16{8080})
			})
			b.Run(fmt.Sprintf("%v/%s/ip", size, kind), func(b *testing.B) {
				ask(b, s, n, func(i int) engine.Query {
					return engine.Query{Src: engine.ByIP(ips[i][0]), Dst: engine.ByIP(ips[i][1]), Port: 8080}
				})
			})
			b.Run(fmt.Sprintf("%v/%s/name", size, kind), func(b *testing.B) {
				ask(b, s, n, func(i int) engine.Query {
					src, dst := told.Pods[order[i][0]], told.Pods[order[i][1]]
					return engine.Query{
						Src: engine.ByPod(src.Namespace, src.Name),
						Dst: engine.ByPod(dst.Namespace, dst.Name), Port: 8080,
					}
				})
			})
		}
	}
}

// BenchmarkHeavy measures a decision about a Pod that 294 policies of 68 rules with address ranges select,
// beside one about an ordinary Pod.
func BenchmarkHeavy(b *testing.B) {
	told, held := built(synthetic.Sizes[1])
	heavy := told.Pods[0]
	var changes []engine.Change
	for _, p := range synthetic.Heavy(heavy, 294, 68) {
		changes = append(changes, engine.Change{Object: p})
	}
	s := held.Apply(changes...)
	defer func() {
		for i := range changes {
			changes[i].Delete = true
		}
		held.Apply(changes...)
	}()
	rng := rand.New(rand.NewPCG(3, 3))
	pairs, ports := make([][2]netip.Addr, 1024), make([]uint16, 1024)
	for i := range ports {
		pairs[i][0] = netip.AddrFrom4([4]byte{byte(11 + i%180), byte(i / 4), 7, 7})
		ports[i] = uint16(1024 + rng.IntN(60000))
	}
	for _, of := range []struct {
		name    string
		subject *engine.Pod
	}{{"ordinary", told.Pods[len(told.Pods)/2]}, {"heavy", heavy}} {
		for i := range pairs {
			pairs[i][1] = of.subject.IPs[0]
		}
		b.Run(of.name+"/direct", func(b *testing.B) { direct(b, s, pairs, ports) })
		b.Run(of.name+"/ip", func(b *testing.B) {
			ask(b, s, len(ports), func(i int) engine.Query {
				return engine.Query{
					Src: engine.ByIP(pairs[i][0]), Dst: engine.ByIP(pairs[i][1]), Port: ports[i],
				}
			})
		})
	}
}

// BenchmarkWideRange measures decisions about a Pod with 3,000 narrow ranges of ports, without and with one of nearly
// all ports beside them, for peers that no rule has.
func BenchmarkWideRange(b *testing.B) {
	told, held := built(synthetic.Sizes[1])
	subject, nobody := told.Pods[0], engine.Selector{{Key: "app", Operator: engine.In, Values: []string{"nobody"}}}
	policy := &engine.Policy{Namespace: subject.Namespace, Name: "narrow", IsolatesIngress: true}
	for i := range 3000 {
		policy.Ingress = append(policy.Ingress, engine.Rule{
			Peers: []engine.Peer{{Pods: &nobody}}, Ports: []engine.Port{{First: uint16(1 + 20*i), Last: uint16(9 + 20*i)}},
		})
	}
	wide := *policy
	wide.Ingress = append(slices.Clone(policy.Ingress), engine.Rule{
		Peers: []engine.Peer{{Pods: &nobody}}, Ports: []engine.Port{{First: 1, Last: 65534}},
	})
	rng := rand.New(rand.NewPCG(3, 3))
	pairs, ports := make([][2]netip.Addr, 1024), make([]uint16, 1024)
	for i := range ports {
		pairs[i] = [2]netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), subject.IPs[0]}
		ports[i] = uint16(1024 + rng.IntN(60000))
	}
	for _, of := range []struct {
		name   string
		policy *engine.Policy
	}{{"narrow", policy}, {"wide", &wide}} {
		s := held.Apply(engine.Change{Object: of.policy})
		b.Run(of.name, func(b *testing.B) { direct(b, s, pairs, ports) })
	}
	held.Apply(engine.Change{Object: policy, Delete: true})
}

// BenchmarkBuild measures the first build from objects in memory.
func BenchmarkBuild(b *testing.B) {
	for _, size := range sizes() {
		changes := synthetic.New(size).Changes()
		b.Run(size.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = engine.NewCluster(engine.Options{}).Apply(changes...).Counts().Pods == 0
			}
		})
	}
}

// BenchmarkMemory reports the bytes of live heap that a cluster takes for each Pod, without the objects, which stay
// the caller's.
func BenchmarkMemory(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC() // the first one moves what pools hold, the second frees it
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for _, size := range sizes() {
		for _, of := range []struct {
			name string
			make func(synthetic.Size) *synthetic.Cluster
		}{{"ipv4", synthetic.New}, {"dual-stack", synthetic.NewDualStack}} {
			b.Run(fmt.Sprintf("%v/%s", size, of.name), func(b *testing.B) {
				changes := of.make(size).Changes()
				for b.Loop() {
					before := heap()
					held := engine.NewCluster(engine.Options{})
					held.Apply(changes...)
					b.ReportMetric((heap()-before)/float64(size.Pods), "B/pod")
					runtime.KeepAlive(held)
					runtime.KeepAlive(changes)
				}
			})
		}
	}
}
