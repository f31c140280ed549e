package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/propose"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/cmd/render"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// The flags of proposals, and the words of --as-policies.
const (
	asPoliciesFlag   = "as-policies"
	externalBitsFlag = "external-bits"
	defaultDenyMode  = "default-deny"
	missingMode      = "missing"
)

func (a *flowAudit) addPolicyFlags() {
	f := a.cmd.Flags()
	f.Var(config.NewChoice(&a.asPolicies, defaultDenyMode, missingMode), asPoliciesFlag, "print NetworkPolicies that admit "+
		"the flows: isolate every workload seen, or only what is missing today")
	f.Lookup(asPoliciesFlag).NoOptDefVal = defaultDenyMode
	f.StringVar(&a.externalBits, externalBitsFlag, "", "with --as-policies: outside addresses as ranges of so many bits, "+
		"`IPV4[,IPV6]`, such as 24,64 [32,128]")
}

// policyOptions returns the options of --as-policies; nil without it.
func (a *flowAudit) policyOptions() (*propose.Options, error) {
	if !a.cmd.Flags().Changed(asPoliciesFlag) {
		if a.externalBits != "" {
			return nil, usageError(a.cmd, "--%s does nothing without --%s: give both", externalBitsFlag, asPoliciesFlag)
		}
		return nil, nil
	}
	for _, flag := range []string{"only", "fail-on", "summary-only", "output", "listen-metrics"} {
		if a.cmd.Flags().Changed(flag) {
			return nil, usageError(a.cmd, "--%s and --%s exclude each other: policies are printed as YAML, and no records; leave "+
				"one of them out", flag, asPoliciesFlag)
		}
	}
	o := &propose.Options{}
	if a.asPolicies == missingMode {
		o.Mode = propose.Missing
	}
	if a.externalBits == "" {
		return o, nil
	}
	parts := strings.Split(a.externalBits, ",")
	for i, part := range parts {
		most, to := 32, &o.Bits4
		if i == 1 {
			most, to = 128, &o.Bits6
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > most || len(parts) > 2 {
			return nil, usageError(a.cmd, "--%s %s: give 1 to 32 bits for IPv4 and, after a comma, 1 to 128 for IPv6",
				externalBitsFlag, a.externalBits)
		}
		*to = n
	}
	return o, nil
}

// proposePolicies prints policies that admit the flows of a source.
func (a *flowAudit) proposePolicies(
	ctx context.Context, source flowInput, asker local, snapshot *engine.Snapshot, options propose.Options,
) error {
	defer source.close()
	answers, err := newFlowAnswers(a.inv, asker)
	if err != nil {
		return err
	}
	observed, left := propose.NewObserved(snapshot, options), map[string]uint64{}
	a.judge.source, a.judge.answers, a.judge.summary = source, answers, flows.NewSummary(time.Time{}, 0)
	a.judge.pause = func() error { return nil }
	a.judge.sink = func(j *judgedFlow) error {
		a.observe(observed, j, left)
		return nil
	}
	progress := a.inv.startProgress(source, true)
	err = a.judge.run(ctx)
	progress.stop()
	if err != nil {
		return a.stopped(ctx, err)
	}
	proposal, body, check, err := a.checkedProposal(ctx, observed, snapshot)
	if err != nil {
		return err
	}
	text := append(render.ProposalHeader(proposal, check, left), body...)
	if _, err := a.inv.stdout.Write(text); err != nil {
		return written(err)
	}
	a.complete = true
	failed := source.failures()
	if n := len(check.Denied); n > 0 {
		failed = append(failed, fmt.Errorf("%d connections of the flows stay denied; the first is %s: the comments at the top "+
			"say why", n, render.DeniedWords(&check.Denied[0])))
	}
	if n := proposal.Counts.Overflow; n > 0 {
		failed = append(failed, fmt.Errorf("%d flows are left out: there are more than %d distinct connections; give "+
			"--%s 24,64, or fewer flows by --since", n, propose.DefaultMaxConnections, externalBitsFlag))
	}
	a.failOn = noFlows
	return a.result(failed)
}

// observe adds a judged record to what was observed, or counts why not.
func (a *flowAudit) observe(to *propose.Observed, j *judgedFlow, left map[string]uint64) {
	r := j.record
	if j.Why == flows.Malformed && a.malformed == "" {
		a.malformed = fmt.Sprintf("%s: line %d: %s", r.File, r.Line, r.Problem)
	}
	switch {
	case j.answer == nil:
	case j.Why == flows.Unresolved, j.Why == flows.Moved, j.Why == flows.PodYounger:
		left[string(j.Why)]++
	case j.dropped:
		left["dropped for another reason than a policy"]++
	default:
		to.Add(&propose.Flow{
			Query: engine.Query{Src: flowEnd(&r.Src), Dst: flowEnd(&r.Dst), Port: r.Port, Protocol: r.Protocol},
			Time:  r.Time, Observed: r.Observed, Direction: r.Direction,
		})
	}
}

// flowEnd returns an end of a record; the zero Endpoint, which is an error to ask about, if it has no words.
func flowEnd(e *flows.End) engine.Endpoint {
	if e.IP.IsValid() {
		return engine.ByIP(e.IP)
	}
	word, err := netpold.ParseEndpoint(e.Word)
	if err != nil {
		return engine.Endpoint{}
	}
	return engineEndpoint(word)
}

// checkedProposal returns a proposal, as YAML, and what came of reading that YAML as --with does and asking
// every connection again. A direction in which a policy would deny what is allowed today is taken out.
func (a *flowAudit) checkedProposal(
	ctx context.Context, observed *propose.Observed, snapshot *engine.Snapshot,
) (*propose.Proposal, []byte, *propose.Check, error) {
	for skip := map[propose.Skip]bool{}; ; {
		proposal := observed.Build(skip)
		text, err := render.ProposalPolicies(proposal)
		if err != nil {
			return nil, nil, nil, err
		}
		after := snapshot
		if len(text) > 0 {
			overlay := &mirror.Overlay{Changes: []mirror.OverlayChange{{Apply: string(text)}}}
			changes, _, err := a.inv.overlayReader()(snapshot, overlay)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("the proposed policies cannot be read: %w", err)
			}
			after = snapshot.With(changes)
		}
		check, err := proposal.Check(ctx.Done(), snapshot, after)
		if err != nil {
			return nil, nil, nil, a.stopped(ctx, err)
		}
		again := false
		for _, s := range check.Broken {
			again = again || !skip[s]
			skip[s] = true
		}
		switch {
		case again:
			continue
		case len(check.Broken) > 0 || len(check.Unnamed) > 0:
			return nil, nil, nil, errors.New("the proposed policies do other than they say, so none is printed; this is a " +
				"defect of netpold")
		}
		return proposal, text, &check, nil
	}
}
