package cache

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/netpold/netpold/engine"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func app(name string) engine.Selector {
	return engine.Selector{{Key: "app", Operator: engine.In, Values: []string{name}}}
}

func pod(name, address string) *engine.Pod {
	return &engine.Pod{
		Namespace: "shop", Name: name, Labels: map[string]string{"app": name[:3]}, Node: "n1",
		IPs:       []netip.Addr{ip(address)},
		Workloads: []engine.Workload{{Kind: "StatefulSet", Name: name[:3]}},
	}
}

func slice(addresses ...string) *engine.EndpointSlice {
	o := &engine.EndpointSlice{
		Namespace: "shop", Name: "db-1", Service: "db",
		Ports: []engine.ServicePort{{Name: "sql", Port: 5432}},
	}
	for _, a := range addresses {
		o.Endpoints = append(o.Endpoints, engine.SliceEndpoint{Addr: ip(a), Ready: true, Serving: true})
	}
	return o
}

func policy(sources ...string) *engine.Policy {
	p := &engine.Policy{Namespace: "shop", Name: "db", Subject: app("dbs"), IsolatesIngress: true}
	for _, name := range sources {
		s, everywhere := app(name), engine.Selector{
			{Key: "stage", Operator: engine.In, Values: []string{"prod"}},
		}
		p.Ingress = append(p.Ingress, engine.Rule{Peers: []engine.Peer{{Namespaces: &everywhere, Pods: &s}}})
	}
	return p
}

func database() *engine.Service {
	return &engine.Service{
		Namespace: "shop", Name: "db", IPs: []netip.Addr{ip("10.96.0.1")},
		Ports: []engine.ServicePort{{Name: "sql", Port: 5432}},
	}
}

func inStage(stage string) *engine.Namespace {
	return &engine.Namespace{Name: "shop", Labels: map[string]string{"stage": stage}}
}

// shop returns a cluster in which web, and not ops, may reach the two Pods of the StatefulSet and Service db.
func shop() *engine.Cluster {
	c := engine.NewCluster(engine.Options{})
	for _, o := range []engine.Object{
		inStage("prod"), &engine.Node{Name: "n1", IPs: []netip.Addr{ip("192.0.2.1")}},
		&engine.Node{Name: "n2", IPs: []netip.Addr{ip("192.0.2.2")}},
		pod("web-0", "10.0.0.1"), pod("ops-0", "10.0.0.2"), pod("dbs-0", "10.0.0.3"),
		pod("dbs-1", "10.0.0.4"),
		policy("web"), database(), slice("10.0.0.3", "10.0.0.4"),
	} {
		c.Apply(engine.Change{Object: o})
	}
	return c
}

func toService() engine.Query {
	return engine.Query{Src: engine.ByPod("shop", "web-0"), Dst: engine.ByService("shop", "db"), Port: 5432}
}

func toAddress() engine.Query {
	return engine.Query{Src: engine.ByIP(ip("10.0.0.1")), Dst: engine.ByIP(ip("10.96.0.1")), Port: 5432}
}

func toWorkload() engine.Query {
	dbs := engine.ByWorkload("shop", engine.Workload{Kind: "StatefulSet", Name: "dbs"})
	return engine.Query{Src: engine.ByPod("shop", "web-0"), Dst: dbs, Port: 5432}
}

// fromNode asks about a Node, of which a Pod may be reached whatever the policies say (S3).
func fromNode() engine.Query {
	return engine.Query{Src: engine.ByIP(ip("192.0.2.1")), Dst: engine.ByService("shop", "db"), Port: 5432}
}

// allowed looks, and decides what is not remembered.
func allowed(c *Cache, goOn func() bool, s *engine.Snapshot, q engine.Query) (engine.Decision, error) {
	known, l := c.Look(s, &q)
	if l.Hit {
		return known, nil
	}
	return c.Decide(goOn, &l, s, &q)
}

// mustAsk asks and checks the answer against the snapshot itself (S29).
func mustAsk(t *testing.T, c *Cache, s *engine.Snapshot, q engine.Query) answer {
	t.Helper()
	d, err := allowed(c, nil, s, q)
	if diff := difference(s, q, d, err); diff != "" {
		t.Errorf("revision %d: %s", s.Revision(), diff)
	}
	return answer{d, err}
}

type answer struct {
	engine.Decision
	err error
}

// TestWhatChangesFlush proves that a change flushes what it concerns, so that no answer is older than its
// snapshot (S29), and nothing else.
func TestWhatChangesFlush(t *testing.T) {
	relabelled := pod("web-0", "10.0.0.1")
	relabelled.Labels = map[string]string{"app": "ops"}
	thief := pod("new-0", "10.0.0.4")
	thief.Created = 1
	moved := pod("dbs-0", "10.0.0.3")
	moved.Node = "n2"
	finished := pod("dbs-1", "10.0.0.4")
	finished.Finished = true
	otherPort := database()
	otherPort.Ports[0].Port = 5433
	shared := &engine.Service{Namespace: "a", Name: "first", IPs: database().IPs, Ports: database().Ports}
	takesNode := pod("new-1", "192.0.2.1")
	for name, test := range map[string]struct {
		change engine.Object
		gone   bool
		// keeps are the questions whose entries stay.
		keeps string
	}{
		"nothing at all": {change: nil, keeps: "service address workload node"},
		"a Pod elsewhere": {
			change: &engine.Pod{Namespace: "b", Name: "p", IPs: []netip.Addr{ip("10.0.9.9")}},
			keeps:  "service address workload node",
		},
		"a Pod beside": {
			change: pod("ops-1", "10.0.0.9"), keeps: "service address workload node",
		},
		"a Pod beside relabelled": {
			change: &engine.Pod{Namespace: "shop", Name: "ops-0", Labels: map[string]string{"app": "web"}},
			keeps:  "service address workload node",
		},
		"a policy elsewhere": {
			change: &engine.Policy{Namespace: "b", Name: "p", IsolatesEgress: true},
			keeps:  "service address workload node",
		},
		"a policy of Pods beside": {
			change: &engine.Policy{Namespace: "shop", Name: "p", Subject: app("ops"), IsolatesEgress: true},
			keeps:  "service address workload node",
		},
		"a Service elsewhere": {
			change: &engine.Service{Namespace: "b", Name: "s", IPs: []netip.Addr{ip("10.96.0.2")}},
			keeps:  "service address workload node",
		},
		"a Namespace elsewhere": {
			change: &engine.Namespace{Name: "b", Labels: map[string]string{"stage": "prod"}},
			keeps:  "service address workload node",
		},
		"another Node": {
			change: &engine.Node{Name: "n3", IPs: []netip.Addr{ip("192.0.2.3")}},
			keeps:  "service address workload node",
		},
		"the source relabelled":          {change: relabelled, keeps: "node"},
		"the source gone":                {change: relabelled, gone: true, keeps: "node"},
		"the policy edited":              {change: policy("ops")},
		"the policy gone":                {change: policy(), gone: true},
		"the Namespace relabelled":       {change: inStage("dev")},
		"the Namespace gone":             {change: inStage("prod"), gone: true},
		"an address moved":               {change: thief},
		"a destination on another Node":  {change: moved},
		"a destination finished":         {change: finished},
		"a destination more":             {change: pod("dbs-2", "10.0.0.5"), keeps: "service address node"},
		"an endpoint less":               {change: slice("10.0.0.3"), keeps: "workload"},
		"an endpoint that is another":    {change: slice("10.0.0.3", "10.0.0.2"), keeps: "workload"},
		"no endpoint":                    {change: slice(), keeps: "workload"},
		"the slice gone":                 {change: slice(), gone: true, keeps: "workload"},
		"the Service's port changed":     {change: otherPort, keeps: "workload"},
		"the Service gone":               {change: database(), gone: true, keeps: "workload"},
		"another Service at its address": {change: shared, keeps: "service workload node"},
		"the Node gone": {
			change: &engine.Node{Name: "n1"}, gone: true, keeps: "service address workload",
		},
		"the Node's address a Pod's": {change: takesNode, keeps: "service address workload"},
	} {
		t.Run(name, func(t *testing.T) {
			questions := map[string]engine.Query{
				"service": toService(), "address": toAddress(), "workload": toWorkload(), "node": fromNode(),
			}
			cluster, c := shop(), New(100)
			old := cluster.Snapshot()
			for _, q := range questions {
				mustAsk(t, c, old, q)
			}
			fresh := cluster.Apply()
			if test.change != nil {
				fresh = cluster.Apply(engine.Change{Object: test.change, Delete: test.gone})
			}
			keeps := map[string]bool{}
			for word := range strings.FieldsSeq(test.keeps) {
				keeps[word] = true
			}
			for name, q := range questions {
				before := c.Stats()
				mustAsk(t, c, fresh, q)
				if hit := c.Stats().Hits > before.Hits; hit != keeps[name] {
					t.Errorf("%s: answered from the cache: %v, want %v", name, hit, keeps[name])
				}
				mustAsk(t, c, old, q) // who asks an old snapshot gets its answer
				mustAsk(t, c, fresh, q)
			}
		})
	}
}

// TestWhatChangesTheAnswer proves S29 where an answer rests on what few answers rest on: each change makes it
// another.
func TestWhatChangesTheAnswer(t *testing.T) {
	notReady := slice("10.0.0.3", "10.0.0.4")
	notReady.Endpoints[1].Ready = false
	byName := slice()
	byName.Endpoints = []engine.SliceEndpoint{{Pod: "dbs-0", Ready: true}, {Pod: "dbs-1", Ready: true}}
	open := pod("dbs-1", "10.0.0.4")
	open.Labels = nil
	fromOps := toService()
	fromOps.Src = engine.ByPod("shop", "ops-0")
	oneLess := slice()
	oneLess.Endpoints = byName.Endpoints[:1]
	portless := database()
	portless.Namespace, portless.Ports = "a", nil
	block := policy()
	block.Ingress = []engine.Rule{
		{Peers: []engine.Peer{{Block: &engine.IPBlock{CIDR: netip.MustParsePrefix("192.0.2.8/29")}}}},
	}
	fromHost := toService()
	fromHost.Src = engine.ByPod("shop", "web-9")
	elsewhere := pod("web-9", "192.0.2.1")
	elsewhere.HostNetwork, elsewhere.IPs, elsewhere.Node = true, nil, "n2"
	for name, test := range map[string]struct {
		before []engine.Object
		q      engine.Query
		change engine.Change
	}{
		"an endpoint no longer ready": {nil, toService(), engine.Change{Object: notReady}},
		"endpoints by name, the policy": {
			[]engine.Object{byName}, toService(), engine.Change{Object: policy("ops")},
		},
		"endpoints by name, one relabelled": {
			[]engine.Object{byName, open}, fromOps, engine.Change{Object: pod("dbs-1", "10.0.0.4")},
		},
		"endpoints by name, one less": {
			[]engine.Object{byName}, toService(), engine.Change{Object: oneLess},
		},
		"endpoints by name, a Pod gone": {
			[]engine.Object{byName}, toService(),
			engine.Change{Object: pod("dbs-1", "10.0.0.4"), Delete: true},
		},
		"the Service of the address that had": {
			[]engine.Object{portless}, toAddress(), engine.Change{Object: database(), Delete: true},
		},
		"a host-network Pod's Node, its address": {
			[]engine.Object{elsewhere, block}, fromHost,
			engine.Change{Object: &engine.Node{Name: "n2", IPs: []netip.Addr{ip("192.0.2.9")}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, c := shop(), New(100)
			for _, o := range test.before {
				cluster.Apply(engine.Change{Object: o})
			}
			old := cluster.Snapshot()
			mustAsk(t, c, old, test.q)
			had := mustAsk(t, c, old, test.q)
			fresh := cluster.Apply(test.change)
			got := mustAsk(t, c, fresh, test.q)
			if got.err == nil && got.BackendsAllowed == had.BackendsAllowed &&
				got.BackendsTotal == had.BackendsTotal {
				t.Errorf("answer is still %+v: the change proves nothing", got)
			}
		})
	}
}

// TestOnlyWhatPaysIsRemembered: other questions are answered by the engine, and counted nowhere.
func TestOnlyWhatPaysIsRemembered(t *testing.T) {
	s, c := shop().Snapshot(), New(100)
	dbs := engine.ByWorkload("shop", engine.Workload{Kind: "StatefulSet", Name: "dbs"})
	for name, test := range map[string]struct {
		q    engine.Query
		pays bool
	}{
		"address to address": {
			engine.Query{Src: engine.ByIP(ip("10.0.0.1")), Dst: engine.ByIP(ip("10.0.0.3")), Port: 1}, false,
		},
		"address to outside": {
			engine.Query{Src: engine.ByIP(ip("10.0.0.1")), Dst: engine.ByIP(ip("2001:db8::1")), Port: 1},
			false,
		},
		"Pod to Pod": {
			engine.Query{Src: engine.ByPod("shop", "web-0"), Dst: engine.ByPod("shop", "dbs-0"), Port: 1},
			false,
		},
		"Pod to a Node": {
			engine.Query{Src: engine.ByPod("shop", "web-0"), Dst: engine.ByIP(ip("192.0.2.1")), Port: 1},
			false,
		},
		"labels to a Service": {
			engine.Query{
				Src: engine.ByLabels(&engine.LabelledPod{Namespace: "shop"}),
				Dst: engine.ByService("shop", "db"), Port: 5432,
			},
			false,
		},
		"workload to labels": {
			engine.Query{Src: dbs, Dst: engine.ByLabels(&engine.LabelledPod{Namespace: "shop"}), Port: 1},
			false,
		},
		"Pod to a Service":     {toService(), true},
		"address to a Service": {toAddress(), true},
		"Pod to a workload":    {toWorkload(), true},
		"workload to address":  {engine.Query{Src: dbs, Dst: engine.ByIP(ip("10.0.0.1")), Port: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.Stats()
			for range 2 {
				if a := mustAsk(t, c, s, test.q); a.err != nil {
					t.Error(a.err)
				}
			}
			want := before
			if test.pays {
				want.Hits, want.Misses, want.Entries = want.Hits+1, want.Misses+1, want.Entries+1
			}
			if got := c.Stats(); got != want {
				t.Errorf("stats are %+v, want %+v", got, want)
			}
		})
	}
}

// TestErrorsAreNotRemembered: neither what the cluster does not have, nor what the caller gave up.
func TestErrorsAreNotRemembered(t *testing.T) {
	cluster, c := shop(), New(100)
	q := engine.Query{Src: engine.ByPod("shop", "web-0"), Dst: engine.ByService("shop", "none"), Port: 80}
	for range 2 {
		if mustAsk(t, c, cluster.Snapshot(), q).err == nil {
			t.Error("no error")
		}
	}
	crowd := engine.NewCluster(engine.Options{})
	for i := range engine.PairsBetween {
		crowd.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: fmt.Sprint("db-", i),
			Workloads: []engine.Workload{{Kind: "StatefulSet", Name: "dbs"}}}})
	}
	crowd.Apply(engine.Change{Object: &engine.Pod{Namespace: "shop", Name: "web-0"}})
	var failure *engine.QueryError
	_, err := allowed(c, func() bool { return false }, crowd.Snapshot(), toWorkload())
	if !errors.As(err, &failure) || failure.Code != engine.Abandoned {
		t.Errorf("error is %v, want one of code Abandoned", err)
	}
	if s := c.Stats(); s.Entries > 0 || s.Hits > 0 || s.Misses != 3 {
		t.Errorf("stats are %+v, want 3 misses alone", s)
	}
	// What was remembered before it became an error is forgotten, and what it kept in memory with it.
	mustAsk(t, c, cluster.Snapshot(), toService())
	mustAsk(t, c, cluster.Apply(engine.Change{Object: database(), Delete: true}), toService())
	if n := c.Stats().Entries; n != 0 {
		t.Errorf("%d entries, want 0", n)
	}
}

// TestSize: there are never more entries than asked for; of a full cache the one used longest ago gives way,
// to a question that is asked again.
func TestSize(t *testing.T) {
	s := shop().Snapshot()
	question := func(n int) engine.Query {
		q := toWorkload()
		q.Port = uint16(n + 1)
		return q
	}
	for _, size := range []int{1, 2, 100, 1000, 5000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c := New(size)
			for n := range 2 * size {
				mustAsk(t, c, s, question(n))
				if got := c.Stats(); got.Entries > size {
					t.Fatalf("%d entries after %d questions", got.Entries, n+1)
				}
			}
			if got := c.Stats(); got.Evictions > 0 || got.Entries < size*9/10 {
				t.Errorf("stats are %+v: want it nearly full, nothing evicted by questions asked once", got)
			}
			before := c.Stats()
			mustAsk(t, c, s, question(7*size))
			mustAsk(t, c, s, question(7*size))
			mustAsk(t, c, s, question(7*size))
			got := c.Stats()
			if got.Hits == before.Hits || got.Evictions != uint64(before.Entries+1-got.Entries) {
				t.Errorf("stats are %+v after %+v: want what is asked again to get in", got, before)
			}
		})
	}
	t.Run("nearly none", func(t *testing.T) {
		if c := New(-1); mustAskTwice(t, c, s) != 1 {
			t.Errorf("stats are %+v, want one hit", c.Stats())
		}
	})
	t.Run("least recently used", func(t *testing.T) {
		c := New(2)
		for _, n := range []int{1, 2, 1, 3, 3} {
			mustAsk(t, c, s, question(n))
		}
		before := c.Stats()
		mustAsk(t, c, s, question(1))
		mustAsk(t, c, s, question(3))
		if got := c.Stats(); got.Hits != before.Hits+2 || got.Evictions != 1 || got.Entries != 2 {
			t.Errorf("stats are %+v after %+v, want 2 hits more and 1 eviction", got, before)
		}
	})
}

// TestRoom: a decision about many Pods takes the room of several, so that memory is bounded whatever is
// asked.
func TestRoom(t *testing.T) {
	cluster := engine.NewCluster(engine.Options{})
	for n := range 240 {
		cluster.Apply(engine.Change{Object: &engine.Pod{
			Namespace: "a", Name: fmt.Sprint("p-", n),
			IPs:       []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})},
			Workloads: []engine.Workload{{Kind: "Deployment", Name: "all"}},
		}})
	}
	s, c := cluster.Snapshot(), New(60)
	q := engine.Query{
		Src: engine.ByPod("a", "p-0"),
		Dst: engine.ByWorkload("a", engine.Workload{Kind: "Deployment", Name: "all"}),
	}
	set, ok := s.ReadSet(&q)
	if !ok || set.Records() < 240 {
		t.Fatalf("the read set has %d records, want each Pod's", set.Records())
	}
	most := 60 / (1 + set.Records()/recordsPerRoom)
	for port := range uint16(40) {
		q.Port = 1 + port
		mustAsk(t, c, s, q)
		mustAsk(t, c, s, q)
		if got := c.Stats(); got.Entries > most {
			t.Fatalf("%d entries, want %d at most", got.Entries, most)
		}
	}
	if got := c.Stats(); got.Entries != most || got.Evictions == 0 {
		t.Errorf("stats are %+v, want %d entries, that others gave way to", got, most)
	}
	c = New(5) // which it does not fit in
	mustAsk(t, c, s, q)
	mustAsk(t, c, s, q)
	if got := c.Stats(); got.Entries != 0 || got.Hits != 0 {
		t.Errorf("stats are %+v, want nothing remembered", got)
	}
}

func mustAskTwice(t *testing.T, c *Cache, s *engine.Snapshot) uint64 {
	t.Helper()
	mustAsk(t, c, s, toService())
	mustAsk(t, c, s, toService())
	return c.Stats().Hits
}

// TestClustersOfOneCache: two clusters that have the same revision, and differ, are told apart; so are their
// options.
func TestClustersOfOneCache(t *testing.T) {
	c := New(100)
	one, other := shop(), shop()
	open := other.Apply(engine.Change{Object: policy(), Delete: true})
	shut := one.Apply(engine.Change{Object: policy()})
	if open.Revision() != shut.Revision() {
		t.Fatalf("revisions are %d and %d", open.Revision(), shut.Revision())
	}
	for range 3 {
		for s, want := range map[*engine.Snapshot]bool{open: true, shut: false} {
			if a := mustAsk(t, c, s, toService()); a.err != nil || a.Allowed != want {
				t.Errorf("allowed: %v, %v; want %v", a.Allowed, a.err, want)
			}
		}
	}
}

// TestNoSnapshotIsKept: what an entry keeps in memory is what it rests on, not the state of the whole
// cluster.
func TestNoSnapshotIsKept(t *testing.T) {
	cluster, c := shop(), New(100)
	old := func() weak.Pointer[engine.Snapshot] {
		s := cluster.Snapshot()
		mustAsk(t, c, s, toService())
		return weak.Make(s)
	}()
	cluster.Apply()
	runtime.GC()
	if old.Value() != nil {
		t.Error("the snapshot is still in memory")
	}
	if mustAskTwice(t, c, cluster.Snapshot()) != 2 {
		t.Errorf("stats are %+v, want two hits on the entry of the old snapshot", c.Stats())
	}
}

// TestManySnapshots: each gets the decision of its own, in whatever order they are asked, and no two are
// taken for one.
func TestManySnapshots(t *testing.T) {
	cluster, c := shop(), New(100)
	var past []*engine.Snapshot
	for i := range 12 {
		change := engine.Change{Object: policy()}
		if i%2 == 0 {
			change.Object = policy("web")
		}
		past = append(past, cluster.Apply(change))
	}
	seen := map[*engine.Identity]*engine.Snapshot{engine.NewCluster(engine.Options{}).Snapshot().ID(): nil}
	for range 3 {
		for i, s := range past {
			if a := mustAsk(t, c, s, toWorkload()); a.err != nil || a.Allowed != (i%2 == 0) {
				t.Errorf("snapshot %d: allowed %v, %v", i, a.Allowed, a.err)
			}
			if had, ok := seen[s.ID()]; ok && had != s {
				t.Errorf("snapshot %d has the identity of another", i)
			}
			seen[s.ID()] = s
		}
	}
	if len(seen) != len(past)+1 {
		t.Errorf("%d identities of %d snapshots", len(seen), len(past)+1)
	}
}
