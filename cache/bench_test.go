package cache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
)

// benchSize is the default of --cache-size.
const benchSize = 16384

// asked is the number of questions that Zipf and random traffic draws.
const asked = 1 << 17

// bench is a synthetic cluster with a Service in front of each workload.
type bench struct {
	pods     []*engine.Pod
	services []*engine.Service
	// backends of each Service, as many as its workload has Pods.
	backends [][]*engine.Pod
	cluster  *engine.Cluster
}

func newBench(size synthetic.Size) *bench {
	told := synthetic.New(size)
	b := &bench{pods: told.Pods, cluster: engine.NewCluster(engine.Options{})}
	byName := map[[2]string]int{}
	for _, p := range told.Pods {
		key := [2]string{p.Namespace, p.Workloads[len(p.Workloads)-1].Name}
		i, ok := byName[key]
		if !ok {
			i = len(b.services)
			byName[key] = i
			ports := []engine.ServicePort{{Name: "web", Port: 80}}
			vip := netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)})
			b.services = append(
				b.services,
				&engine.Service{Namespace: key[0], Name: key[1], IPs: []netip.Addr{vip}, Ports: ports},
			)
			b.backends = append(b.backends, nil)
		}
		b.backends[i] = append(b.backends[i], p)
	}
	changes := told.Changes()
	for i, svc := range b.services {
		slice := &engine.EndpointSlice{
			Namespace: svc.Namespace, Name: svc.Name + "-1", Service: svc.Name,
			Ports: []engine.ServicePort{{Name: "web", Port: 8080}},
		}
		for _, p := range b.backends[i] {
			slice.Endpoints = append(
				slice.Endpoints, engine.SliceEndpoint{Addr: p.IPs[0], Ready: true, Serving: true},
			)
		}
		changes = append(changes, engine.Change{Object: svc}, engine.Change{Object: slice})
	}
	b.cluster.Apply(changes...)
	return b
}

// withBackends returns the Services that have from least to most backends.
func (b *bench) withBackends(least, most int) []int {
	var list []int
	for i, pods := range b.backends {
		if len(pods) >= least && len(pods) <= most {
			list = append(list, i)
		}
	}
	return list
}

// kind is a kind of question: ask makes one from two numbers.
type kind struct {
	name string
	ask  func(src, dst int) engine.Query
	// slow ones take milliseconds: too long to ask of them more than the 1,024 hot ones.
	slow bool
}

func (k *kind) traffics() []string {
	if k.slow {
		return []string{"hot"}
	}
	return []string{"hot", "zipf", "random"}
}

func (b *bench) kinds() []kind {
	pod := func(n int) *engine.Pod { return b.pods[n%len(b.pods)] }
	byIP := func(n int) engine.Endpoint { return engine.ByIP(pod(n).IPs[0]) }
	byPod := func(n int) engine.Endpoint { return engine.ByPod(pod(n).Namespace, pod(n).Name) }
	service := func(least, most int) func(int) engine.Endpoint {
		list := b.withBackends(least, most)
		return func(n int) engine.Endpoint {
			svc := b.services[list[n%len(list)]]
			return engine.ByService(svc.Namespace, svc.Name)
		}
	}
	workload := func(least, most int) func(int) engine.Endpoint {
		list := b.withBackends(least, most)
		return func(n int) engine.Endpoint {
			p := b.backends[list[n%len(list)]][0]
			return engine.ByWorkload(p.Namespace, p.Workloads[len(p.Workloads)-1])
		}
	}
	vip := func(n int) engine.Endpoint { return engine.ByIP(b.services[n%len(b.services)].IPs[0]) }
	heavy := func(int) engine.Endpoint { return engine.ByIP(b.pods[0].IPs[0]) }
	outside := func(n int) engine.Endpoint {
		return engine.ByIP(netip.AddrFrom4([4]byte{byte(11 + n%180), byte(n / 180), 7, 7}))
	}
	ends := func(src, dst func(int) engine.Endpoint, port uint16) func(s, d int) engine.Query {
		return func(s, d int) engine.Query { return engine.Query{Src: src(s), Dst: dst(d), Port: port} }
	}
	return []kind{
		{name: "ip", ask: ends(byIP, byIP, 8080)},
		{name: "ip-heavy", ask: func(s, d int) engine.Query {
			return engine.Query{Src: outside(s), Dst: heavy(d), Port: uint16(1024 + d%60000)}
		}},
		{name: "name", ask: ends(byPod, byPod, 8080)},
		{name: "name-to-ip", ask: ends(byPod, byIP, 8080)},
		{name: "service-of-1", ask: ends(byPod, service(1, 1), 80)},
		{name: "service-of-5", ask: ends(byPod, service(4, 6), 80)},
		{name: "service-of-50-and-up", ask: ends(byPod, service(50, 1000), 80)},
		{name: "service-address", ask: ends(byIP, vip, 80)},
		{name: "workload-1x1", ask: ends(workload(1, 1), workload(1, 1), 8080)},
		{name: "workload-5x5", ask: ends(workload(4, 6), workload(4, 6), 8080)},
		{name: "workload-50x50-and-up", ask: ends(workload(50, 1000), workload(50, 1000), 8080), slow: true},
	}
}

// traffic returns an order of access: 1,024 questions again and again (hot), or many by Zipf's law or
// uniformly random.
func (b *bench) traffic(name string, ask func(src, dst int) engine.Query) []engine.Query {
	rng := rand.New(rand.NewPCG(7, 7))
	zipf := rand.NewZipf(rng, 1.1, 1, uint64(len(b.pods)-1))
	n := asked
	if name == "hot" {
		n = 1024
	}
	list := make([]engine.Query, n)
	for i := range list {
		if name == "zipf" {
			list[i] = ask(int(zipf.Uint64()), int(zipf.Uint64()))
		} else {
			list[i] = ask(rng.IntN(len(b.pods)), rng.IntN(len(b.pods)))
		}
	}
	return list
}

// BenchmarkAllowed compares deciding (off) with the Cache as it is (on), for each kind of question and
// traffic; and, where the Cache chooses not to remember, with one that remembers every decision. With -cpu
// 1,2 on one core and on two.
func BenchmarkAllowed(b *testing.B) {
	for _, size := range synthetic.Sizes[1:] {
		built := newBench(size)
		for _, k := range built.kinds() {
			if k.name == "ip-heavy" {
				for _, p := range synthetic.Heavy(built.pods[0], 294, 68) {
					built.cluster.Apply(engine.Change{Object: p})
					defer built.cluster.Apply(engine.Change{Object: p, Delete: true})
				}
			}
			for _, traffic := range k.traffics() {
				questions := built.traffic(traffic, k.ask)
				names := []string{"off", "on"}
				if s := built.cluster.Snapshot(); !s.FansOut(&questions[0]) {
					names = append(names, "every")
				}
				for _, name := range names {
					b.Run(fmt.Sprintf("%v/%s/%s/%s", size, k.name, traffic, name), func(b *testing.B) {
						askAll(b, name, built.cluster.Snapshot(), questions)
					})
				}
			}
		}
	}
}

// asServers decides as servers do, which look for nothing that is decided sooner.
func asServers(c *Cache, s *engine.Snapshot, q *engine.Query) (engine.Decision, error) {
	if c == nil || !c.every && !s.FansOut(q) {
		return s.Allowed(*q)
	}
	return allowed(c, nil, s, *q)
}

func askAll(b *testing.B, name string, s *engine.Snapshot, questions []engine.Query) {
	var c *Cache
	if name != "off" {
		c = New(benchSize)
		c.every = name == "every"
		for i := range questions[:min(len(questions), 2*benchSize)] {
			_, _ = allowed(c, nil, s, questions[i])
		}
	}
	var reader atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		i := int(reader.Add(1)) * 31337
		for pb.Next() {
			if _, err := asServers(c, s, &questions[i&(len(questions)-1)]); err != nil {
				b.Error(err)
				return
			}
			i++
		}
	})
}
