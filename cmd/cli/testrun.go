package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/assertion"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// outcome is how an assertion came out.
type outcome string

const (
	holds   outcome = "pass"
	fails   outcome = "fail"
	noReply outcome = "error"
)

// result is one assertion and how it came out.
type result struct {
	file      string
	assertion *assertion.Assertion
	outcome   outcome
	// message says what is the case instead; one line.
	message string
	// explanation is what check prints of the question that fails.
	explanation string
}

// testRun asks what assertions claim, from one state where that can be had.
type testRun struct {
	batcher
	// snapshot is what a local asker answers from; nil if a server answers.
	snapshot *engine.Snapshot
	// outside remembers addresses by family.
	outside map[engine.Families][]string
}

func newTestRun(inv *invocation, from asker) *testRun {
	r := &testRun{batcher: batcher{inv: inv, asker: from, atOnce: maxGroup}, outside: map[engine.Families][]string{}}
	if l, ok := from.(local); ok {
		frozen, state := l.frozen()
		r.asker, r.snapshot = frozen, state.Snapshot
	}
	return r
}

// questions are those of one port of an assertion: several if an end is any.
type questions struct {
	port assertion.Port
	list []*netpoldv1.AllowedRequest
}

// results asks everything. Its error is that nothing can be asked at all.
func (r *testRun) results(ctx context.Context, files []assertionFile) ([]result, error) {
	var all []result
	var asked [][]questions
	var list []*netpoldv1.AllowedRequest
	for _, file := range files {
		for i := range file.list {
			one := result{file: file.name, assertion: &file.list[i], outcome: holds}
			ports, err := r.questions(one.assertion)
			if err != nil {
				one.outcome, one.message = noReply, err.Error()
			}
			for _, q := range ports {
				list = append(list, q.list...)
			}
			all, asked = append(all, one), append(asked, ports)
		}
	}
	answers, err := r.batcher.ask(ctx, list)
	if err != nil {
		return nil, err
	}
	for i := range all {
		for _, q := range asked[i] {
			if err := r.judge(ctx, &all[i], q, answers[:len(q.list)]); err != nil {
				return nil, err
			}
			answers = answers[len(q.list):]
		}
	}
	return all, nil
}

// judge adds to a result how one port came out.
func (r *testRun) judge(ctx context.Context, out *result, q questions, answers []*netpoldv1.BatchAnswer) error {
	verdict, message, example := judge(out.assertion, q, answers)
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
	if example == nil || out.explanation != "" {
		return nil
	}
	var err error
	out.explanation, err = r.explain(ctx, example)
	return err
}

// questions returns those of each port.
func (r *testRun) questions(a *assertion.Assertion) ([]questions, error) {
	sources, destinations := []*netpoldv1.Endpoint{a.Src.Endpoint}, []*netpoldv1.Endpoint{a.Dst.Endpoint}
	var err error
	if a.Src.Endpoint == nil {
		sources, err = r.anywhere(a.Dst.Endpoint)
	} else if a.Dst.Endpoint == nil {
		destinations, err = r.anywhere(a.Src.Endpoint)
	}
	if err != nil {
		return nil, err
	}
	var all []questions
	for _, port := range a.Ports {
		q := questions{port: port}
		for _, src := range sources {
			for _, dst := range destinations {
				q.list = append(q.list, &netpoldv1.AllowedRequest{Src: src, Dst: dst, Port: port.Number, Protocol: port.Protocol})
			}
		}
		all = append(all, q)
	}
	return all, nil
}

// anywhere returns addresses that stand for all that are outside, of the families that the other end has.
func (r *testRun) anywhere(other *netpoldv1.Endpoint) ([]*netpoldv1.Endpoint, error) {
	if r.snapshot == nil {
		return nil, errors.New(`"any" cannot be asked of a server, which does not tell its policies: ` +
			"give --manifests or a kubeconfig instead of --server, or an address instead of any")
	}
	families := r.families(other)
	if families == 0 {
		families = engine.IPv4 | engine.IPv6
	}
	if r.outside[families] == nil {
		for _, addr := range r.snapshot.Outside(families) {
			r.outside[families] = append(r.outside[families], addr.String())
		}
	}
	var list []*netpoldv1.Endpoint
	for _, addr := range r.outside[families] {
		list = append(list, netpold.IP(addr))
	}
	return list, nil
}

// families returns those that an end has addresses of.
func (r *testRun) families(end *netpoldv1.Endpoint) engine.Families {
	address := func(text string) engine.Families {
		if addr, err := netip.ParseAddr(text); err == nil {
			return r.snapshot.FamiliesOf(engine.ByIP(addr))
		}
		return 0
	}
	switch e := end.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Ip:
		return address(e.Ip)
	case *netpoldv1.Endpoint_Pod:
		return r.snapshot.FamiliesOf(engine.ByPod(e.Pod.GetNamespace(), e.Pod.GetName()))
	case *netpoldv1.Endpoint_Workload:
		w := e.Workload
		return r.snapshot.FamiliesOf(engine.ByWorkload(w.GetNamespace(), engine.Workload{Kind: w.GetKind(), Name: w.GetName()}))
	case *netpoldv1.Endpoint_Service:
		return r.snapshot.FamiliesOf(engine.ByService(e.Service.GetNamespace(), e.Service.GetName()))
	case *netpoldv1.Endpoint_Labels:
		return address(e.Labels.GetIp())
	}
	return 0
}

// judge says how one port came out, in words, and gives a question that shows it.
func judge(a *assertion.Assertion, q questions, answers []*netpoldv1.BatchAnswer) (outcome, string, *netpoldv1.AllowedRequest) {
	var as, other *netpoldv1.AllowedRequest
	why := ""
	for i, answer := range answers {
		if st := answer.GetError(); st != nil {
			return noReply, fmt.Sprintf("%s has no answer: %s", q.port, st.GetMessage()), nil
		}
		switch wrong := contradiction(a, answer.GetResponse()); {
		case wrong == "" && as == nil:
			as = q.list[i]
		case wrong == "":
		case other == nil:
			other, why = q.list[i], wrong
		}
	}
	if other == nil {
		return holds, "", nil
	}
	message := fmt.Sprintf("%s is %s", q.port, why)
	of, preposition := (*netpoldv1.AllowedRequest).GetSrc, "from"
	if a.Src.Endpoint != nil {
		of, preposition = (*netpoldv1.AllowedRequest).GetDst, "to"
	}
	if a.Src.Endpoint == nil || a.Dst.Endpoint == nil {
		message += " " + preposition + " " + of(other).GetIp()
		if as != nil {
			message += ", though as claimed " + preposition + " " + of(as).GetIp()
		}
	}
	return fails, message, other
}

// contradiction says what an answer is instead of what is claimed; empty if it is that.
func contradiction(a *assertion.Assertion, answer *netpoldv1.AllowedResponse) string {
	switch {
	case answer.GetAllowed() && !a.Allowed:
		return "allowed"
	case !answer.GetAllowed() && a.Allowed:
		return "denied"
	case a.Allowed || a.By == "":
		return ""
	}
	side := answer.GetIngress()
	if answer.GetReason() == netpoldv1.Reason_REASON_DENIED_AT_EGRESS {
		side = answer.GetEgress()
	}
	named := side.GetIsolatedBy()
	switch total := int(side.GetIsolatedByTotal()); {
	case slices.Contains(named, a.By):
		return ""
	case total > len(named):
		return fmt.Sprintf("denied by %d policies, and %s is not among the first %d", total, a.By, len(named))
	default:
		return "denied by " + strings.Join(named, ", ")
	}
}

// explain returns what check would say.
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
