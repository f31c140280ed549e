package wire

import (
	"strconv"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxSimulated limits the questions of a difference.
const maxSimulated = 10_000

var changeKinds = newEnum(map[audit.ChangeKind]netpoldv1.ChangeKind{
	audit.Opened:          netpoldv1.ChangeKind_CHANGE_KIND_OPENED,
	audit.Closed:          netpoldv1.ChangeKind_CHANGE_KIND_CLOSED,
	audit.FamiliesChanged: netpoldv1.ChangeKind_CHANGE_KIND_FAMILIES,
})

// DiffTooLarge refuses a request that asks for more than one difference looks at; nil for others.
func DiffTooLarge(req *netpoldv1.SimulateRequest) *Failure {
	if n := len(req.GetQuestions()); n > maxSimulated {
		return AuditTooLarge("questions", "questions", n, maxSimulated, "ask in several requests")
	}
	return FiltersTooLarge(req)
}

// DiffRequest reads a request for a difference. It does not read its overlay, questions and at_least. The
// result is valid only if there are no violations.
func (r *RequestReader) DiffRequest(req *netpoldv1.SimulateRequest) *audit.DiffRequest {
	to := &audit.DiffRequest{Ports: r.listPorts(req.GetProtocol(), req.GetPorts())}
	for i, include := range req.GetInclude() {
		at := "include[" + strconv.Itoa(i) + "]"
		switch include {
		case netpoldv1.Include_INCLUDE_UNSPECIFIED:
		case netpoldv1.Include_INCLUDE_NODES:
			to.Nodes = true
		case netpoldv1.Include_INCLUDE_POLICIES:
			to.Policies = true
		case netpoldv1.Include_INCLUDE_SERVICES, netpoldv1.Include_INCLUDE_EXPOSURE:
			r.reject(at, "%v has no place in a difference, whose ends are Pods, Nodes and addresses; leave it out, or list "+
				"connections with and without the overlay", include)
		default:
			r.reject(at, "%d is nothing that a difference includes; give INCLUDE_NODES or INCLUDE_POLICIES", int32(include))
		}
	}
	switch req.GetMatch() {
	case netpoldv1.Match_MATCH_UNSPECIFIED, netpoldv1.Match_MATCH_PODS:
		to.Match = audit.MatchPods
	case netpoldv1.Match_MATCH_WORKLOADS:
		to.Match = audit.MatchWorkloads
	default:
		r.reject("match", "%d matches nothing; give MATCH_PODS or MATCH_WORKLOADS, or leave it out", int32(req.GetMatch()))
	}
	to.Src = r.Ends("src", req.GetSrc(), "")
	to.Dst = r.Ends("dst", req.GetDst(), "name the workload behind it")
	return to
}

// RequireOverlay rejects a request that changes nothing.
func (r *RequestReader) RequireOverlay(o *netpoldv1.Overlay) {
	if len(o.GetChanges()) == 0 {
		r.reject("overlay.changes", "is required: the changes whose effect is asked for; give one at least")
	}
}

// RejectAtLeast rejects the at_least of one of many questions that are answered from one state.
func (r *RequestReader) RejectAtLeast(question *netpoldv1.AllowedRequest) {
	if token := question.GetAtLeast(); token != "" {
		r.reject("at_least", "%s: all answers rest on one state; give at_least to the whole request instead", Quote(token))
	}
}

// DiffItem returns a result of a difference but for progress.
func DiffItem(item *audit.DiffItem) *netpoldv1.SimulateResponse {
	to := new(netpoldv1.SimulateResponse)
	switch {
	case item.Group != nil:
		to.Item = &netpoldv1.SimulateResponse_Group{Group: Group(item.Group)}
	case item.Set != nil:
		to.Item = &netpoldv1.SimulateResponse_Set{Set: &netpoldv1.Set{Id: item.Set.ID, Groups: item.Set.Groups}}
	case item.Change != nil:
		to.Item = &netpoldv1.SimulateResponse_Change{Change: change(item.Change)}
	}
	return to
}

func change(c *audit.Change) *netpoldv1.Change {
	return &netpoldv1.Change{
		Kind:      changeKinds.proto(c.Kind),
		SrcGroups: c.Src.Groups, SrcSets: c.Src.Sets, SrcCidrs: prefixTexts(c.SrcCIDRs),
		DstGroups: c.Dst.Groups, DstSets: c.Dst.Sets, DstCidrs: prefixTexts(c.DstCIDRs),
		Ports: PortRanges(c.Ports), Before: changeState(&c.Before), After: changeState(&c.After),
		BeforeBy: changeRules(&c.Before), AfterBy: changeRules(&c.After),
	}
}

func changeState(s *audit.ChangeState) *netpoldv1.ChangeState {
	return &netpoldv1.ChangeState{Allowed: s.Allowed, Families: protoFamilies(nil, s.Families)}
}

// changeRules returns the rules that allow; nil if none does.
func changeRules(s *audit.ChangeState) *netpoldv1.ChangeRules {
	egress, ingress := Rule(s.EgressBy), Rule(s.IngressBy)
	if egress == nil && ingress == nil {
		return nil
	}
	return &netpoldv1.ChangeRules{Egress: egress, Ingress: ingress}
}

// DiffSummary returns the end of a difference, without how long it took.
func DiffSummary(s *audit.DiffSummary) *netpoldv1.SimulateSummary {
	return &netpoldv1.SimulateSummary{
		Opened: s.Opened, Closed: s.Closed, FamiliesChanged: s.FamiliesChanged,
		ExternalOpened: uint32(s.ExternalOpened), ExternalClosed: uint32(s.ExternalClosed),
		WorkloadsAdded: s.WorkloadsAdded, WorkloadsRemoved: s.WorkloadsRemoved,
		PoliciesAdded: s.PoliciesAdded, PoliciesChanged: s.PoliciesChanged, PoliciesRemoved: s.PoliciesRemoved,
		Truncated: s.Truncated,
	}
}
