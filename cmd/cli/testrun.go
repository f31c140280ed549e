package cli

import (
	"context"
	"errors"
	"net/netip"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/assertion"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An outcome is the outcome of an assertion.
type outcome string

const (
	holds   outcome = "pass"
	fails   outcome = "fail"
	noReply outcome = "error"
)

// A result is one assertion and its outcome, or an error in a file.
type result struct {
	file string
	// line counts from 1; 0 if the error concerns the whole file.
	line int
	// assertion is the assertion in words; empty if none could be read.
	assertion string
	outcome   outcome
	// message says what is true instead, in one line.
	message string
	// explanation is what check prints for the question that fails.
	explanation string
}

// unanswered returns the assertions of files as results without an answer, for a run that could not ask any.
func unanswered(files []assertionFile, message string) []result {
	var all []result
	for _, file := range files {
		for i := range file.list {
			one := resultOf(file.name, &file.list[i])
			one.outcome, one.message = noReply, message
			all = append(all, one)
		}
	}
	return all
}

// resultOf returns the result of an assertion that holds.
func resultOf(file string, a *assertion.Assertion) result {
	return result{file: file, line: a.Line, assertion: a.String(), outcome: holds}
}

// A testRun asks what assertions claim, from one state if possible.
type testRun struct {
	batcher
	// snapshot is the state of a local asker, and outside are its parts of the outside; nil if a server
	// answers.
	snapshot *engine.Snapshot
	outside  *engine.Outside

	// claims wait for answers, in order of the questions. The questions fit into one call.
	claims    []*claim
	questions []*netpoldv1.AllowedRequest
}

func newTestRun(inv *invocation, from asker) *testRun {
	r := &testRun{batcher: batcher{inv: inv, asker: from, atOnce: maxGroup}}
	if l, ok := from.(local); ok {
		frozen, state := l.frozen()
		r.asker, r.snapshot, r.outside = frozen, state.Snapshot, state.Snapshot.Outside()
	}
	return r
}

// results asks all questions, as many at a time as fit into one call. It returns an error if nothing can be
// asked at all.
func (r *testRun) results(ctx context.Context, files []assertionFile) ([]result, error) {
	var all []result
	var claims [][]*claim
	for _, file := range files {
		for i := range file.list {
			a := &file.list[i]
			one := resultOf(file.name, a)
			of, err := r.add(ctx, a)
			switch {
			case errors.Is(err, errAnyOfServer):
				one.outcome, one.message = noReply, err.Error()
			case err != nil:
				return nil, err
			}
			all, claims = append(all, one), append(claims, of)
		}
	}
	if err := r.ask(ctx); err != nil {
		return nil, err
	}
	for i := range all {
		for _, c := range claims[i] {
			if err := r.judge(ctx, &all[i], c); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// add asks the questions of an assertion, or keeps them to ask them with the following ones.
func (r *testRun) add(ctx context.Context, a *assertion.Assertion) ([]*claim, error) {
	var outside []netip.Addr
	var err error
	switch {
	case a.Src.Endpoint == nil:
		outside, err = r.anywhere(a.Dst.Endpoint)
	case a.Dst.Endpoint == nil:
		outside, err = r.anywhere(a.Src.Endpoint)
	default:
		outside = make([]netip.Addr, 1) // used for neither endpoint
	}
	if err != nil {
		return nil, err
	}
	var all []*claim
	for _, port := range a.Ports {
		c := &claim{of: a, port: port}
		all = append(all, c)
		for _, addr := range outside {
			q := &netpoldv1.AllowedRequest{
				Src: a.Src.Endpoint, Dst: a.Dst.Endpoint, Port: port.Number, Protocol: port.Protocol,
			}
			if q.Src == nil {
				q.Src = netpold.IP(addr.String())
			} else if q.Dst == nil {
				q.Dst = netpold.IP(addr.String())
			}
			r.claims, r.questions = append(r.claims, c), append(r.questions, q)
			if len(r.questions) < maxGroup {
				continue
			}
			if err := r.ask(ctx); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// ask asks the waiting questions, and records the answers in their claims.
func (r *testRun) ask(ctx context.Context) error {
	answers, err := r.batcher.ask(ctx, r.questions)
	if err != nil {
		return err
	}
	for i, answer := range answers {
		r.claims[i].record(r.questions[i], answer)
	}
	clear(r.claims)
	clear(r.questions)
	r.claims, r.questions = r.claims[:0], r.questions[:0]
	return nil
}

// judge adds the outcome of one port to a result.
func (r *testRun) judge(ctx context.Context, out *result, c *claim) error {
	verdict, message := c.verdict()
	if verdict == holds {
		return nil
	}
	if out.outcome == holds || verdict == noReply {
		out.outcome = verdict
	}
	if out.message != "" {
		out.message += "; "
	}
	out.message += message
	if verdict == noReply || out.explanation != "" {
		return nil
	}
	var err error
	out.explanation, err = r.explain(ctx, c.other)
	return err
}

// errAnyOfServer is the error of an assertion with any that a server would have to answer.
var errAnyOfServer = errors.New(`"any" cannot be asked of a server, which does not tell its policies: ` +
	"give --manifests or a kubeconfig instead of --server, or an address instead of any")

// anywhere returns addresses that stand for all addresses outside, of the families of the other endpoint.
func (r *testRun) anywhere(other *netpoldv1.Endpoint) ([]netip.Addr, error) {
	if r.outside == nil {
		return nil, errAnyOfServer
	}
	end := engineEndpoint(other)
	return r.outside.Addresses(familiesOrBoth(r.snapshot.FamiliesOf(end)), end), nil
}

// familiesOrBoth returns families, or both if it is empty.
func familiesOrBoth(families engine.Families) engine.Families {
	if families == 0 {
		return engine.IPv4 | engine.IPv6
	}
	return families
}

// engineEndpoint returns an endpoint of the engine; the zero Endpoint if the engine would reject it.
func engineEndpoint(end *netpoldv1.Endpoint) engine.Endpoint {
	switch e := end.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Ip:
		if addr, err := netip.ParseAddr(e.Ip); err == nil {
			return engine.ByIP(addr)
		}
	case *netpoldv1.Endpoint_Pod:
		return engine.ByPod(e.Pod.GetNamespace(), e.Pod.GetName())
	case *netpoldv1.Endpoint_Workload:
		w := engine.Workload{Kind: e.Workload.GetKind(), Name: e.Workload.GetName()}
		return engine.ByWorkload(e.Workload.GetNamespace(), w)
	case *netpoldv1.Endpoint_Service:
		return engine.ByService(e.Service.GetNamespace(), e.Service.GetName())
	case *netpoldv1.Endpoint_Labels:
		// Its labels and ports affect neither its families nor the namespace of its policies.
		addr, err := netip.ParseAddr(e.Labels.GetIp())
		if err != nil {
			addr = netip.Addr{}
		}
		return engine.ByLabels(&engine.LabelledPod{Namespace: e.Labels.GetNamespace(), IP: addr})
	}
	return engine.Endpoint{}
}

// explain returns what check prints for a question.
func (r *testRun) explain(ctx context.Context, q *netpoldv1.AllowedRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.inv.config.Client.Timeout)
	defer cancel()
	q.Details = true
	answer, err := r.asker.Allowed(ctx, q)
	if err != nil {
		return "", err
	}
	return answerText(q, answer), nil
}
