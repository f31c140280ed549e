package enginetest_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
)

// TestDetailsNameTheDecidingPair asks the pair that details name again, by itself: it is decided as the whole
// question was.
func TestDetailsNameTheDecidingPair(t *testing.T) {
	t.Parallel()
	seeds := uint64(400)
	if testing.Short() || enginetest.UnderRace {
		seeds = 40
	}
	again, services := 0, 0
	for seed := range seeds {
		r := enginetest.NewRandom(seed)
		if seed%2 == 0 {
			r.WithTiers()
		}
		cluster, state := engine.NewCluster(
			engine.Options{IPBlockIgnoresPods: seed%4 == 3},
		), enginetest.State{}
		batch := r.Churn(state)
		for _, o := range r.Cluster() {
			batch = append(batch, engine.Change{Object: o})
		}
		for range 6 {
			state.Apply(batch)
			s := apply(cluster, batch)
			for range 60 {
				q := r.Question(state.Objects())
				ok, behind, failure := askAgain(s, q)
				if failure != "" {
					t.Fatalf("seed %d: %s: %s\n%s", seed, q, failure, enginetest.ObjectsText(state.Objects()))
				}
				if ok {
					again++
				}
				if ok && behind {
					services++
				}
			}
			batch = r.Churn(state)
		}
	}
	t.Logf("%d pairs asked again, %d of them behind Services", again, services)
	if again < int(seeds)*100 || services < int(seeds) {
		t.Error("too few pairs were asked again")
	}
}

// askAgain reports whether the pair of q's details could be asked by itself, whether it is behind a Service,
// and how its decision differs from q's.
func askAgain(s *engine.Snapshot, asked enginetest.Question) (ok, behind bool, failure string) {
	q := asked.Query()
	d, err := s.Allowed(q)
	details, detailsErr := s.Details(nil, q)
	if err != nil || detailsErr != nil {
		if fmt.Sprint(err) != fmt.Sprint(detailsErr) {
			return false, false, fmt.Sprintf("Allowed: %v; Details: %v", err, detailsErr)
		}
		return false, false, ""
	}
	if details.Protocol != q.Protocol || details.Dst.Service == nil && details.Port != q.Port {
		return false, false, fmt.Sprintf("decided on %d/%v", details.Port, details.Protocol)
	}
	if details.Dst.Family != 0 && !details.Src.IP.IsValid() && !details.Dst.IP.IsValid() {
		return false, false, "a family without an address"
	}
	behind = details.Dst.Service != nil
	if behind && details.Src.Name != "" &&
		details.Src.Namespace == details.Dst.Namespace && details.Src.Name == details.Dst.Name {
		// a Pod that reaches itself through a Service is exempt otherwise than by itself (S44)
		return false, behind, ""
	}
	one := engine.Query{Src: q.Src, Dst: q.Dst, Port: details.Port, Protocol: q.Protocol}
	if asked.Src.Workload != nil {
		one.Src = engine.ByPod(details.Src.Namespace, details.Src.Name)
	}
	switch {
	case behind && (details.Dst.Family == 0 || !details.Dst.IP.IsValid()),
		behind && details.Dst.Kind == engine.ResolvedHostNetworkPod:
		return false, behind, "" // no question has the same families, or the same end
	case behind:
		one.Dst = engine.ByIP(details.Dst.IP)
	case asked.Dst.Workload != nil:
		one.Dst = engine.ByPod(details.Dst.Namespace, details.Dst.Name)
	}
	if behind && s.FansOut(&one) {
		return false, behind, "" // an endpoint with the address of a Service
	}
	got, err := s.Allowed(one)
	got.Families, d.Families, d.BackendsAllowed, d.BackendsTotal = 0, 0, 0, 0
	return true, behind, enginetest.Diff(got, err, d, nil)
}

// TestDetailsFindWhatIsBehindANodesPort compares the ports and ranges that details find with all objects, one
// by one.
func TestDetailsFindWhatIsBehindANodesPort(t *testing.T) {
	t.Parallel()
	found := map[engine.NoteCode]int{}
	for seed := range uint64(60) {
		r := enginetest.NewRandom(seed)
		cluster, state := engine.NewCluster(engine.Options{}), enginetest.State{}
		for range 30 {
			batch := r.Churn(state)
			state.Apply(batch)
			s := apply(cluster, batch)
			for range 20 {
				q := r.Question(state.Objects())
				if !q.Dst.IP.IsValid() {
					continue
				}
				d, err := s.Details(nil, q.Query())
				if err != nil {
					continue
				}
				for _, n := range d.Notes {
					if n.Dst && n.Code < engine.NoteReverseAllowed {
						found[n.Code]++
					}
				}
				got, want := notesOfAddress(d), wantOfAddress(state.Objects(), q, d)
				if !slices.Equal(got, want) {
					t.Fatalf(
						"seed %d: %s: notes %v, want %v\n%s", seed, q, got, want,
						enginetest.ObjectsText(state.Objects()),
					)
				}
			}
		}
	}
	for _, code := range []engine.NoteCode{
		engine.NoteOutside, engine.NoteSecondary, engine.NoteNodePort, engine.NoteHostPort,
	} {
		if found[code] == 0 {
			t.Errorf("no question met the note %d", code)
		}
	}
}

// notesOfAddress returns the codes of the notes about the destination as an address.
func notesOfAddress(d engine.Details) []engine.NoteCode {
	var codes []engine.NoteCode
	for _, n := range d.Notes {
		switch {
		case n.Code == engine.NoteOutside && n.Dst && n.Range.IsValid() != (n.Node != ""),
			n.Code == engine.NoteOutside && n.Dst && n.Range.IsValid() && !n.Range.Contains(n.IP):
			panic(fmt.Sprintf("range of a note: %+v", n))
		case !n.Dst || n.Code == engine.NoteEmptyNamespace || n.Code == engine.NoteHostNetwork ||
			n.Code > engine.NoteHostPort:
			continue
		}
		codes = append(codes, n.Code)
	}
	return codes
}

// wantOfAddress returns those codes from the objects.
func wantOfAddress(objects []engine.Object, q enginetest.Question, d engine.Details) []engine.NoteCode {
	ip := q.Dst.IP.Unmap()
	if d.Dst.Service != nil {
		return nil
	}
	switch d.Dst.Kind {
	case engine.ResolvedExternal:
		if anyOf(objects, func(p *engine.Pod) bool {
			return !p.Finished && slices.Contains(p.SecondaryIPs, ip)
		}) {
			return []engine.NoteCode{engine.NoteSecondary}
		}
		return []engine.NoteCode{engine.NoteOutside}
	case engine.ResolvedNode:
		if anyOf(objects, func(s *engine.Service) bool {
			return slices.ContainsFunc(s.PortDetails, func(p engine.ServicePortDetail) bool {
				return p.NodePort == q.Port && p.Protocol == q.Protocol
			})
		}) {
			return []engine.NoteCode{engine.NoteNodePort}
		}
		if anyOf(objects, func(p *engine.Pod) bool {
			running := !p.Finished && !p.HostNetwork && p.Node == d.Dst.Node
			return running && slices.ContainsFunc(p.HostPorts, func(h engine.HostPort) bool {
				return h.Port == q.Port && h.Protocol == q.Protocol && (h.IP == netip.Addr{} || h.IP == ip)
			})
		}) && d.Dst.Node != "" {
			return []engine.NoteCode{engine.NoteHostPort}
		}
	default:
	}
	return nil
}

func anyOf[T engine.Object](objects []engine.Object, is func(T) bool) bool {
	return slices.ContainsFunc(objects, func(o engine.Object) bool {
		x, ok := o.(T)
		return ok && is(x)
	})
}
