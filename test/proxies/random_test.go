package proxies

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/server"
)

// A cluster is a random one.
type cluster struct {
	objects []engine.Object
	oracle  *enginetest.Oracle
	rand    *rand.Rand
	pods    []*engine.Pod
	// ports and addresses are those at the borders of rules; the addresses of Pods are among the latter.
	ports     []engine.PortRange
	addresses []netip.Addr
}

// randomCluster returns a cluster with Pods that have addresses.
func randomCluster(seed uint64) *cluster {
	for ; ; seed += 1000 {
		random := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			random.WithTiers()
		}
		c := &cluster{objects: random.Cluster(), rand: rand.New(rand.NewPCG(seed, 1))}
		c.oracle = &enginetest.Oracle{Objects: c.objects}
		ports, outside := enginetest.Borders(c.objects)
		c.addresses = outside
		for _, p := range ports {
			if p.Protocol == engine.TCP {
				c.ports = append(c.ports, p)
			}
		}
		for _, o := range c.objects {
			p, ok := o.(*engine.Pod)
			if ok && !p.Finished && len(p.IPs) > 0 && !slices.ContainsFunc(p.IPs, func(ip netip.Addr) bool { return !connects(ip) }) {
				c.pods = append(c.pods, p)
				c.addresses = append(c.addresses, p.IPs...)
			}
		}
		c.addresses = slices.DeleteFunc(c.addresses, func(ip netip.Addr) bool { return !connects(ip) })
		if len(c.pods) >= 3 && len(c.ports) > 0 {
			return c
		}
	}
}

// connects reports whether a connection that a proxy tells of can have an address (P5). Neither nginx nor Envoy takes the last
// of IPv4 as a client's.
func connects(ip netip.Addr) bool {
	return !ip.IsLoopback() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.Is4In6() &&
		ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// address returns an address of the family of like, or of any if that is not valid.
func (c *cluster) address(like netip.Addr) netip.Addr {
	for {
		ip := c.addresses[c.rand.IntN(len(c.addresses))]
		if !like.IsValid() || like.Is4() == ip.Is4() {
			return ip
		}
	}
}

// podAddress returns an address of a Pod.
func (c *cluster) podAddress() netip.Addr {
	p := c.pods[c.rand.IntN(len(c.pods))]
	return p.IPs[c.rand.IntN(len(p.IPs))]
}

// TestP1ForwardAuthOnRandomClusters proves that through each proxy the verdicts on random clusters are the oracle's, for
// clients inside and outside.
func TestP1ForwardAuthOnRandomClusters(t *testing.T) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			verdicts := map[bool]int{}
			for seed := range uint64(8) {
				c := randomCluster(seed)
				n := serve(t, c.objects, nil)
				dst, port := c.pods[c.rand.IntN(len(c.pods))], c.ports[c.rand.IntN(len(c.ports))].First
				app := application(t)
				addr := w.start(t, n.ForwardAuthAddr(), app.Listener.Addr().String(), append(slices.Clip(w.patient), theQuestion,
					fmt.Sprintf("dst=%s/%s&port=%d", dst.Namespace, dst.Name, port))...)
				for range 30 {
					src := c.address(netip.Addr{})
					q := enginetest.Question{Src: enginetest.Endpoint{IP: src}, Port: port, Protocol: engine.TCP,
						Dst: enginetest.Endpoint{Pod: &enginetest.Name{Namespace: dst.Namespace, Name: dst.Name}}}
					want, err := c.oracle.Allowed(q)
					if err != nil {
						t.Fatal(err)
					}
					got, err := get(addr, "/", "", w.header, src.String())
					if err != nil || got.status != map[bool]int{true: 200, false: 403}[want.Allowed] ||
						app.reached() != map[bool]int{true: 1}[want.Allowed] {
						t.Errorf("seed %d: %v: %+v, %v; the oracle says %+v", seed, q, got, err, want)
					}
					verdicts[want.Allowed]++
				}
			}
			enough(t, verdicts)
		})
	}
}

// enough fails a test that has seen hardly anything of one verdict.
func enough(t *testing.T, verdicts map[bool]int) {
	t.Helper()
	t.Logf("%d allowed, %d denied", verdicts[true], verdicts[false])
	if verdicts[true] < 10 || verdicts[false] < 10 {
		t.Error("that proves little")
	}
}

// TestP1EnvoyOnRandomClusters proves that through Envoy's HTTP and network filter the verdicts on random clusters are the
// oracle's, by the addresses of connections alone. What a Service's address has no answer for is an error.
func TestP1EnvoyOnRandomClusters(t *testing.T) {
	verdicts := map[bool]int{}
	for seed := range uint64(8) {
		c := randomCluster(seed)
		n, app, tcpApp := serve(t, c.objects, func(config *server.Config) { config.DenyDetail = server.DenyReason }), application(t), echo(t)
		byHTTP, _ := envoy(t, "http.yaml", n.Addr(), app.Listener.Addr().String(), patient...)
		network, _ := envoy(t, "network.yaml", n.Addr(), tcpApp, append(slices.Clip(patient),
			"{key: netpold-require-known, value: dst}", "{key: netpold-shadow, value: \"false\"}")...)
		for i := range 40 {
			dst, port := c.podAddress(), c.ports[c.rand.IntN(len(c.ports))].First
			if i%8 == 0 {
				dst = c.address(netip.Addr{}) // a Pod's or not
			}
			src := c.address(dst)
			q := enginetest.Question{Src: enginetest.Endpoint{IP: src}, Dst: enginetest.Endpoint{IP: dst}, Port: port, Protocol: engine.TCP}
			preface := proxied(src.String(), dst.String(), int(port))
			want, err := c.oracle.Allowed(q)
			status := map[bool]int{true: 200, false: 403}[want.Allowed]
			if err != nil {
				status = 503
			}
			got, failed := get(byHTTP, "/", preface)
			if failed != nil || got.status != status {
				t.Errorf("seed %d: %v: %+v, %v; the oracle says %+v, %v", seed, q, got, failed, want, err)
			}
			if reason := got.header.Get("X-Netpold-Reason"); status == 403 && (reason == "" ||
				strings.HasPrefix(reason, "DENIED_AT_INGRESS") != (want.Reason == engine.DeniedAtIngress)) {
				t.Errorf("seed %d: %v: denied for %q; the oracle says %+v", seed, q, reason, want)
			}
			if passes := say(t, network, preface); passes != want.Allowed {
				t.Errorf("seed %d: %v: a connection passes %v; the oracle says %+v, %v", seed, q, passes, want, err)
			}
			if err == nil {
				verdicts[want.Allowed]++
			}
		}
	}
	enough(t, verdicts)
}
