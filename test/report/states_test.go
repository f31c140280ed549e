package report_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/render/html"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/report"
)

// The states of a pair.
const (
	closed = "closed"
	partly = "partly open"
	opened = "open"
)

// A truth is a random list whose meaning is known: what each pair of groups allows.
type truth struct {
	random   *rand.Rand
	groups   []*netpoldv1.Group
	messages []*netpoldv1.ListConnectionsResponse
	sets     uint32
	// full and some count pairs of groups by the names of their workloads; pairs counts all of them.
	full, some, pairs map[[2]string]int
}

// newTruth makes one to eight groups, several of a workload now and then, of all families.
func newTruth(seed uint64) *truth {
	w := &truth{
		random: rand.New(rand.NewPCG(seed, 7)), //nolint:gosec // not a secret
		full:   map[[2]string]int{}, some: map[[2]string]int{}, pairs: map[[2]string]int{},
	}
	w.messages = append(w.messages, &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Header{Header: &netpoldv1.AuditHeader{}},
	})
	for i := range 1 + w.random.IntN(8) {
		name := fmt.Sprintf("w%d", i/(1+w.random.IntN(2)))
		g := &netpoldv1.Group{
			Id: uint32(
				i + 1,
			), Kind: netpoldv1.GroupKind_GROUP_KIND_POD, Namespace: "n", //nolint:gosec // an index
			Workload: &netpoldv1.WorkloadRef{Namespace: "n", Kind: "Deployment", Name: name},
			Members: []*netpoldv1.Member{
				{Name: fmt.Sprint(name, "-", i)},
			}, Families: familiesOf(w.random.IntN(4)),
		}
		w.groups = append(w.groups, g)
		w.messages = append(w.messages, &netpoldv1.ListConnectionsResponse{
			Item: &netpoldv1.ListConnectionsResponse_Group{Group: g},
		})
	}
	for _, src := range w.groups {
		for _, dst := range w.groups {
			w.pair(src, dst)
		}
		w.outside(src, true)
		w.outside(src, false)
	}
	w.messages = append(w.messages, &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Summary{Summary: &netpoldv1.ListSummary{}},
	})
	return w
}

func familiesOf(bits int) []netpoldv1.IpFamily {
	var out []netpoldv1.IpFamily
	all := []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4, netpoldv1.IpFamily_IP_FAMILY_IPV6}
	for i, f := range all {
		if bits&(1<<i) != 0 {
			out = append(out, f)
		}
	}
	return out
}

func bitsOf(families []netpoldv1.IpFamily) int {
	bits := 0
	for _, f := range families {
		bits |= int(f)
	}
	return bits
}

func nameOf(g *netpoldv1.Group) string { return g.GetNamespace() + "/" + g.GetWorkload().GetName() }

// everyPort is every port, in one list or parted as two rules would part it.
func (w *truth) everyPort() [][]*netpoldv1.PortRange {
	var all []*netpoldv1.PortRange
	for p := netpoldv1.Protocol_PROTOCOL_TCP; p <= netpoldv1.Protocol_PROTOCOL_SCTP; p++ {
		all = append(all, &netpoldv1.PortRange{Protocol: p, First: 1, Last: 65535})
	}
	if w.random.IntN(2) == 0 {
		return [][]*netpoldv1.PortRange{all}
	}
	low := &netpoldv1.PortRange{Protocol: netpoldv1.Protocol_PROTOCOL_TCP, First: 1, Last: 443}
	high := &netpoldv1.PortRange{Protocol: netpoldv1.Protocol_PROTOCOL_TCP, First: 444, Last: 65535}
	return [][]*netpoldv1.PortRange{{low}, {high, all[1], all[2]}}
}

func somePorts() []*netpoldv1.PortRange {
	return []*netpoldv1.PortRange{
		{Protocol: netpoldv1.Protocol_PROTOCOL_TCP, First: 80, Last: 443},
		{Protocol: netpoldv1.Protocol_PROTOCOL_UDP, First: 53, Last: 53},
	}
}

func (w *truth) count(src, dst string, all, any bool) {
	key := [2]string{src, dst}
	w.pairs[key]++
	if all {
		w.full[key]++
	}
	if any {
		w.some[key]++
	}
}

// pair decides what src may open to dst: mostly all or nothing, so that whole workloads are open now
// and then.
func (w *truth) pair(src, dst *netpoldv1.Group) {
	a, b := bitsOf(src.GetFamilies()), bitsOf(dst.GetFamilies())
	shared := a & b
	if a == 0 || b == 0 {
		shared = a | b
	}
	families := shared
	if shared == 3 && w.random.IntN(6) == 0 {
		families = 1 + w.random.IntN(2)
	}
	what := w.random.IntN(8)
	w.count(nameOf(src), nameOf(dst), what > 1 && families == shared, what > 0)
	var lists [][]*netpoldv1.PortRange
	switch {
	case what == 1:
		lists = [][]*netpoldv1.PortRange{somePorts()}
	case what > 1:
		lists = w.everyPort()
	}
	for _, ports := range lists {
		c := &netpoldv1.Connection{
			SrcGroups: []uint32{
				src.GetId(),
			}, DstGroups: []uint32{dst.GetId()}, Ports: ports, Families: familiesOf(families),
		}
		if w.random.IntN(3) == 0 {
			c.DstGroups, c.DstSets = nil, []uint32{w.set(dst)}
		}
		w.connection(c)
	}
}

func (w *truth) set(g *netpoldv1.Group) uint32 {
	w.sets++
	w.messages = append(
		w.messages,
		&netpoldv1.ListConnectionsResponse{Item: &netpoldv1.ListConnectionsResponse_Set{
			Set: &netpoldv1.Set{Id: w.sets, Groups: []uint32{g.GetId()}},
		}},
	)
	return w.sets
}

func (w *truth) connection(c *netpoldv1.Connection) {
	w.messages = append(w.messages, &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Connection{Connection: c},
	})
}

// outside decides what a group may exchange with addresses: all, all but one IPv6 address or so, or nothing.
func (w *truth) outside(g *netpoldv1.Group, away bool) {
	bits := bitsOf(g.GetFamilies())
	if bits == 0 {
		bits = 3
	}
	what := w.random.IntN(5)
	var cidrs []string
	if bits&1 != 0 && what > 0 {
		cidrs = append(cidrs, [][]string{{"0.0.0.0/0"}, {"0.0.0.0/1", "128.0.0.0/1"}}[w.random.IntN(2)]...)
	}
	if bits&2 != 0 && what > 0 {
		cidrs = append(cidrs, "::/0")
	}
	all := what > 1
	if what == 1 {
		cidrs = cidrs[1:]
		cidrs = append(cidrs, "10.0.0.0/8")
		if bits == 2 {
			cidrs = []string{"8000::/1", "4000::/2"}
		}
	}
	end := [2]string{nameOf(g), "Outside"}
	if !away {
		end = [2]string{"Outside", nameOf(g)}
	}
	w.count(end[0], end[1], all, what > 0)
	if what == 0 {
		return
	}
	for _, ports := range w.everyPort() {
		c := &netpoldv1.Connection{
			Ports:     ports,
			Families:  familiesOf(bits),
			SrcGroups: []uint32{g.GetId()},
			DstCidrs:  cidrs,
		}
		if !away {
			c = &netpoldv1.Connection{
				Ports:     ports,
				Families:  familiesOf(bits),
				DstGroups: []uint32{g.GetId()},
				SrcCidrs:  cidrs,
			}
		}
		w.connection(c)
	}
}

// states returns what the page has to show.
func (w *truth) states() map[string]string {
	out := map[string]string{}
	for key, n := range w.pairs {
		state := partly
		if w.full[key] == n {
			state = opened
		} else if w.some[key] == 0 {
			state = closed
		}
		out[key[0]+" to "+key[1]] = state
	}
	return out
}

// The state of every pair is that of its groups, ports, families and addresses, however the list folds them.
// The overview of namespaces, which netpold itself works out, agrees.
func TestStates(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(12), html.Options{}), "")
	seen := map[string]int{}
	for seed := range uint64(150) {
		w := newTruth(seed)
		got := statesIn(p, w, 0)
		want := w.states()
		for pair, state := range want {
			seen[state]++
			if got[pair] != state {
				t.Errorf("seed %d: %s is %s, want %s", seed, pair, got[pair], state)
			}
		}
		if len(got) != len(want) {
			t.Errorf("seed %d: %d pairs, want %d", seed, len(got), len(want))
		}
		checkOverview(p, w, seed)
	}
	for _, state := range []string{closed, partly, opened} {
		if seen[state] == 0 {
			t.Errorf("no pair was %s: the test proves little", state)
		}
	}
}

// checkOverview compares the report of namespaces with the truth. All workloads are in one.
func checkOverview(p *page, w *truth, seed uint64) {
	p.Helper()
	total, full, some := map[[2]string]int{}, map[[2]string]int{}, map[[2]string]int{}
	fold := func(name string) string {
		if name == "Outside" {
			return name
		}
		return "namespace n"
	}
	for key, n := range w.pairs {
		folded := [2]string{fold(key[0]), fold(key[1])}
		total[folded] += n
		full[folded] += w.full[key]
		some[folded] += w.some[key]
	}
	sums := &truth{pairs: total, full: full, some: some}
	if len(w.states()) <= 3 {
		return // One workload is within the limit.
	}
	got := statesIn(p, w, 1)
	for pair, state := range sums.states() {
		if got[pair] != state {
			p.Errorf("seed %d, by namespaces: %s is %s, want %s", seed, pair, got[pair], state)
		}
	}
}

// statesIn returns the states of all pairs that the page would show for a list.
func statesIn(p *page, w *truth, limit int) map[string]string {
	p.Helper()
	var b strings.Builder
	list := html.NewList(&b, html.Options{MaxWorkloads: limit})
	for _, m := range w.messages {
		if err := list.Write(m); err != nil {
			p.Fatal(err)
		}
	}
	if err := list.Close(); err != nil {
		p.Fatal(err)
	}
	_, rest, _ := strings.Cut(b.String(), `id="data">`)
	text, _, _ := strings.Cut(rest, "</script>")
	quoted, err := json.Marshal(text)
	if err != nil {
		p.Fatal(err)
	}
	return eval[map[string]string](p, `(() => {
		const model = buildModel(readData(`+string(quoted)+`));
		const states = pairStates(model, null);
		const out = {};
		for (const src of model.parties) for (const dst of model.parties) {
			const bits = states[src.index * model.parties.length + dst.index];
			if (bits) out[fullName(src) + ' to ' + fullName(dst)] = stateName(model, bits);
		}
		return out;
	})()`)
}
