package audit_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// aboutVerdicts are the codes that other tests look for, by trying what they claim.
var aboutVerdicts = []audit.Code{audit.RuleCovered, audit.RuleRedundant, audit.RuleNeverReached}

// Each code is found exactly when its line of the table says so, however the objects are made: every finding is
// compared with a naive reading of the table.
func TestLintFindsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	seeds := uint64(1000)
	if testing.Short() {
		seeds = 200
	}
	times := map[audit.Code]int{}
	for seed := range seeds {
		objects, options := random(seed)
		switch seed % 3 {
		case 0:
			objects = withDNS(objects)
		case 1:
			objects = withServices(objects, seed)
		default:
			objects = withHalves(objects, seed)
		}
		want := naively(objects, options)
		got := map[string]bool{}
		for _, f := range lint(t, snapshotOf(objects, options)) {
			if !slices.Contains(aboutVerdicts, f.Code) {
				got[foundText(f)] = true
				times[f.Code]++
			}
		}
		var wrong []string
		for f := range want {
			if !got[f] {
				wrong = append(wrong, "not found: "+f)
			}
		}
		for f := range got {
			if !want[f] {
				wrong = append(wrong, "found: "+f)
			}
		}
		if len(wrong) > 0 {
			slices.Sort(wrong)
			t.Fatalf("seed %d %+v:\n%s\n%s", seed, options, strings.Join(wrong, "\n"), enginetest.ObjectsText(objects))
		}
	}
	codes, _ := audit.Codes()
	for _, c := range codes {
		// invalid-entry is of what the engine never gets.
		if times[c] == 0 && c != audit.InvalidEntryCode && !slices.Contains(aboutVerdicts, c) {
			t.Errorf("%s was never found", c)
		}
	}
	t.Log(times)
}

// withDNS returns the objects with namespace a called kube-system, its Service s kube-dns, and ports 80 and
// 8080 with the number 53.
func withDNS(objects []engine.Object) []engine.Object {
	list := make([]engine.Object, len(objects))
	namespace := func(s *string) {
		if *s == "a" {
			*s = "kube-system"
		}
	}
	name := func(s *string) {
		if *s == "s" {
			*s = "kube-dns"
		}
	}
	port := func(p *uint16) {
		if *p == 80 || *p == 8080 {
			*p = 53
		}
	}
	rule := func(r *engine.Rule) {
		for i := range r.Ports {
			port(&r.Ports[i].First)
			port(&r.Ports[i].Last)
		}
	}
	for i, o := range objects {
		o = enginetest.Clone(o)
		switch o := o.(type) {
		case *engine.Pod:
			namespace(&o.Namespace)
			for i := range o.Ports {
				port(&o.Ports[i].Port)
			}
		case *engine.Policy:
			namespace(&o.Namespace)
			for i := range o.Egress {
				rule(&o.Egress[i])
			}
		case *engine.ClusterPolicy:
			for i := range o.Egress {
				rule(&o.Egress[i].Rule)
			}
		case *engine.Namespace:
			namespace(&o.Name)
		case *engine.Service:
			namespace(&o.Namespace)
			name(&o.Name)
			o.Ports = append(slices.DeleteFunc(o.Ports, func(p engine.ServicePort) bool {
				return p.Port == 53
			}), engine.ServicePort{Name: "dns", Port: 53, Protocol: engine.UDP})
		case *engine.EndpointSlice:
			namespace(&o.Namespace)
			name(&o.Service)
			for i := range o.Ports {
				if i == 0 {
					o.Ports[0].Name, o.Ports[0].Protocol = "dns", engine.UDP
				}
				port(&o.Ports[i].Port)
			}
		}
		list[i] = o
	}
	return list
}

// withServices returns the objects and Services of the labels of Pods, with ports that ingress rules open.
func withServices(objects []engine.Object, seed uint64) []engine.Object {
	r := rand.New(rand.NewPCG(seed, 4))
	var pods []*engine.Pod
	for _, o := range objects {
		if p, ok := o.(*engine.Pod); ok && len(p.Labels) > 0 {
			pods = append(pods, p)
		}
	}
	list := slices.Clone(objects)
	eachRule(objects, func(_ ruleName, u *engine.Rule) {
		for _, p := range u.Ports {
			if p.Name != "" || len(pods) == 0 {
				continue
			}
			pod := pods[r.IntN(len(pods))]
			s := &engine.Service{
				Namespace: pod.Namespace, Name: fmt.Sprint("for-", len(list)), Headless: r.IntN(8) == 0,
				Selector: maps.Clone(pod.Labels), Ports: []engine.ServicePort{{Port: p.First, Protocol: p.Protocol}},
			}
			switch detail := (engine.ServicePortDetail{Port: p.First, Protocol: p.Protocol}); r.IntN(4) {
			case 0:
				detail.TargetPort = 9090
				s.PortDetails = []engine.ServicePortDetail{detail}
			case 1:
				detail.Target = "http"
				s.PortDetails = []engine.ServicePortDetail{detail}
			case 2:
				detail.NodePort = 30000
				s.PortDetails = []engine.ServicePortDetail{detail}
			}
			list = append(list, s)
		}
	})
	return list
}

// withHalves returns the objects with some blocks of which both halves, or three quarters, are excepted.
func withHalves(objects []engine.Object, seed uint64) []engine.Object {
	r := rand.New(rand.NewPCG(seed, 6))
	list := make([]engine.Object, len(objects))
	for i, o := range objects {
		list[i] = enginetest.Clone(o)
	}
	eachRule(list, func(_ ruleName, u *engine.Rule) {
		for _, p := range u.Peers {
			if p.Block == nil || !p.Block.CIDR.IsValid() || p.Block.CIDR.Bits() > 30 || r.IntN(3) > 0 {
				continue
			}
			first := netip.PrefixFrom(p.Block.CIDR.Masked().Addr(), p.Block.CIDR.Bits()+1)
			second := netip.PrefixFrom(lastAddr(first).Next(), first.Bits())
			if r.IntN(2) == 0 {
				second = netip.PrefixFrom(second.Addr(), second.Bits()+1)
			}
			p.Block.Except = []netip.Prefix{second, first}
		}
	})
	return list
}
