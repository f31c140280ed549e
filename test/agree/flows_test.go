package agree

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/door"
)

// TestF3FlowsAgreeWithTheOracle: random records of random clusters are judged as the naive oracle and a reading
// of F3 and F4 judge them, from files and through a server alike.
func TestF3FlowsAgreeWithTheOracle(t *testing.T) {
	enough, most := uint64(60), uint64(60)
	if testing.Short() {
		enough = 6
	}
	outcomes := map[string]int{}
	missing := func() []string {
		return slices.DeleteFunc([]string{
			"AGREES", "DISAGREES", "unresolved", "no-verdict", "moved", "pod-younger", "policy-younger", "reply",
		}, func(outcome string) bool { return outcomes[outcome] > 0 })
	}
	// The clusters are small, and few have a policy younger than their Pods: there are more until each outcome was seen.
	for seed := uint64(0); seed < enough || seed < most && len(missing()) > 0; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCluster(t, seed)
			addr, _, _ := serve(t, c)
			f := flowRecords{cluster: c, rand: rand.New(rand.NewPCG(seed, 11))}
			records := make([]flows.Record, 300)
			for i := range records {
				records[i] = f.record(t)
			}
			near := judged(t, records, "--manifests", c.dir)
			far := judged(t, records, "--server", addr)
			for i := range records {
				want := f.judge(t, &records[i])
				got := near[i]
				outcomes[want.why+want.compared]++
				if got.GetReason() != want.reason || got.GetCompared() != want.compared || got.GetWhy() != want.why {
					t.Errorf("%+v\ngot  %v %q %q\nwant %v %q %q", records[i], got.GetReason(), got.GetCompared(), got.GetWhy(),
						want.reason, want.compared, want.why)
				}
				got.Revision, far[i].Revision = 0, 0
				if a, b := protojson.Format(got), protojson.Format(far[i]); strings.Join(strings.Fields(a), "") !=
					strings.Join(strings.Fields(b), "") {
					t.Errorf("from files\n%s\nthrough a server\n%s", a, b)
				}
			}
		})
	}
	if none := missing(); len(none) > 0 {
		t.Errorf("no record was %q: %v", none, outcomes)
	}
}

// judged runs the command over records, and returns its answers.
func judged(t *testing.T, records []flows.Record, state ...string) []*netpoldv1.Flow {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flows.json")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := flowstest.Write(file, flows.Hubble, records); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"audit", path, "-o", "json", "-q", "--fail-on", "none"}, state...)
	code, stdout, stderr := door.Command(t.Context(), "", args...)
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	var list []*netpoldv1.Flow
	for line := range strings.Lines(stdout) {
		m := new(netpoldv1.FlowAudit)
		if err := protojson.Unmarshal([]byte(line), m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if f := m.GetFlow(); f != nil {
			f.File = ""
			list = append(list, f)
		}
	}
	if len(list) != len(records) {
		t.Fatalf("%d answers to %d records", len(list), len(records))
	}
	return list
}

// A flowRecords makes records of a cluster, and judges them by the oracle.
type flowRecords struct {
	*cluster
	rand *rand.Rand
}

// record returns a record, mostly of ends that there are.
func (f *flowRecords) record(t *testing.T) flows.Record {
	t.Helper()
	random := enginetest.NewRandom(f.rand.Uint64())
	r := flows.Record{
		Observed: flows.Observed(f.rand.IntN(3)), Direction: flows.Direction(f.rand.IntN(3)),
		Time: time.Unix(int64(f.rand.IntN(4)), int64(f.rand.IntN(2))*5e8).UTC(),
	}
	if f.rand.IntN(20) == 0 {
		r.Why = flows.Reply
	}
	for !r.Src.IP.IsValid() || !r.Dst.IP.IsValid() {
		q := random.Question(f.objects)
		if q.Src.IP.IsValid() {
			r.Src.IP = q.Src.IP.Unmap()
		}
		if q.Dst.IP.IsValid() {
			r.Dst.IP = q.Dst.IP.Unmap()
		}
		r.Port, r.Protocol = q.Port, q.Protocol
	}
	newest := int64(0)
	for _, end := range []*flows.End{&r.Src, &r.Dst} {
		for _, o := range f.objects {
			p, ok := o.(*engine.Pod)
			if !ok {
				continue
			}
			owned := reports(p, end.IP)
			if owned {
				newest = max(newest, p.Created)
			}
			// One of the Pods that report the address, or another one.
			if (owned || f.rand.IntN(60) == 0) && f.rand.IntN(3) > 0 {
				end.Namespace, end.Pod = p.Namespace, p.Name
			}
		}
	}
	if f.rand.IntN(2) == 0 {
		// As soon as both Pods are there, so that policies are often younger than the record.
		r.Time = time.Unix(newest, int64(r.Time.Nanosecond())).UTC()
	}
	return r
}

func reports(p *engine.Pod, ip netip.Addr) bool {
	for _, own := range p.IPs {
		if own == ip {
			return true
		}
	}
	return false
}

// A verdict is what is expected of a record.
type verdict struct {
	reason        netpoldv1.Reason
	compared, why string
}

// judge reads F2 to F4 aloud.
func (f *flowRecords) judge(t *testing.T, r *flows.Record) verdict {
	t.Helper()
	if r.Why != "" {
		return verdict{why: string(r.Why)}
	}
	q := enginetest.Question{
		Src: enginetest.Endpoint{IP: r.Src.IP}, Dst: enginetest.Endpoint{IP: r.Dst.IP}, Port: r.Port, Protocol: r.Protocol,
	}
	decision, err := f.oracle.Allowed(q)
	if err != nil {
		return verdict{why: "unresolved"}
	}
	v := verdict{reason: netpoldv1.Reason(netpoldv1.Reason_value["REASON_"+reasons[decision.Reason]])}
	if r.Observed == flows.NotObserved {
		v.why = "no-verdict"
		return v
	}
	details, err := f.snapshot.Details(nil, q.Query())
	if err != nil {
		t.Fatal(err)
	}
	ends := []struct {
		of     flows.End
		is     engine.Resolved
		egress bool
	}{{r.Src, details.Src, true}, {r.Dst, details.Dst, false}}
	ends[0].is.Service = nil // an address of a Service opens connections as any other outside
	for _, end := range ends {
		owned := end.is.Kind == engine.ResolvedPod && end.is.Service == nil
		if end.of.Pod != "" && (!owned || end.of.Pod != end.is.Name || end.of.Namespace != end.is.Namespace) {
			v.why = "moved"
			return v
		}
	}
	policyYounger := false
	for i, end := range ends {
		asked := []enginetest.Endpoint{q.Src, q.Dst}[i]
		if end.is.Service != nil {
			asked = enginetest.Endpoint{Service: &enginetest.Name{}}
		}
		created, policy := f.oracle.Ages(asked, &end.is, end.egress)
		if end.is.Service == nil && created != 0 && time.Unix(created, 0).After(r.Time) {
			v.why = "pod-younger"
			return v
		}
		policyYounger = policyYounger || policy != 0 && time.Unix(policy, 0).After(r.Time)
	}
	allowed := r.Observed == flows.ObservedAllowed
	agrees := allowed == decision.Allowed
	if r.Direction == flows.AtEgress {
		agrees = allowed == (decision.Reason != engine.DeniedAtEgress)
	}
	switch {
	case agrees:
		v.compared = "AGREES"
	case policyYounger:
		v.why = "policy-younger"
	default:
		v.compared = "DISAGREES"
	}
	return v
}
