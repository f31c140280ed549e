package wire

import (
	"net/netip"

	"github.com/netpold/netpold/audit"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// maxExplained is how many rules of a side are listed (A8). A policy without rules counts as one.
const maxExplained = 1000

var (
	endKinds = newEnum(map[engine.ResolvedKind]netpoldv1.EndKind{
		engine.ResolvedPod:            netpoldv1.EndKind_END_KIND_POD,
		engine.ResolvedHostNetworkPod: netpoldv1.EndKind_END_KIND_HOST_NETWORK,
		engine.ResolvedNode:           netpoldv1.EndKind_END_KIND_NODE,
		engine.ResolvedExternal:       netpoldv1.EndKind_END_KIND_EXTERNAL,
		engine.ResolvedHypothetical:   netpoldv1.EndKind_END_KIND_HYPOTHETICAL,
	})
	exemptions = newEnum(map[engine.Exemption]netpoldv1.Exemption{
		engine.ExemptSelf:      netpoldv1.Exemption_EXEMPTION_SELF,
		engine.ExemptLocalNode: netpoldv1.Exemption_EXEMPTION_LOCAL_NODE,
		engine.ExemptHairpin:   netpoldv1.Exemption_EXEMPTION_HAIRPIN,
	})
	actions = newEnum(map[engine.Action]netpoldv1.Action{
		engine.Allow: netpoldv1.Action_ACTION_ALLOW,
		engine.Deny:  netpoldv1.Action_ACTION_DENY,
		engine.Pass:  netpoldv1.Action_ACTION_PASS,
	})
	misses = newEnum(map[engine.Miss]netpoldv1.Miss{
		engine.MissInvalid:          netpoldv1.Miss_MISS_INVALID,
		engine.MissNotAPod:          netpoldv1.Miss_MISS_NOT_A_POD,
		engine.MissNamespace:        netpoldv1.Miss_MISS_NAMESPACE,
		engine.MissPodLabels:        netpoldv1.Miss_MISS_POD_LABELS,
		engine.MissInCluster:        netpoldv1.Miss_MISS_IN_CLUSTER,
		engine.MissNoAddress:        netpoldv1.Miss_MISS_NO_ADDRESS,
		engine.MissOutsideCIDR:      netpoldv1.Miss_MISS_OUTSIDE_CIDR,
		engine.MissExcepted:         netpoldv1.Miss_MISS_EXCEPTED,
		engine.MissNotANode:         netpoldv1.Miss_MISS_NOT_A_NODE,
		engine.MissNodeLabels:       netpoldv1.Miss_MISS_NODE_LABELS,
		engine.MissNamesNotResolved: netpoldv1.Miss_MISS_NAMES_NOT_RESOLVED,
		engine.MissProtocol:         netpoldv1.Miss_MISS_PROTOCOL,
		engine.MissNumber:           netpoldv1.Miss_MISS_NUMBER,
		engine.MissNoSuchName:       netpoldv1.Miss_MISS_NO_SUCH_NAME,
		engine.MissNameIsOther:      netpoldv1.Miss_MISS_NAME_IS_OTHER,
	})
	missings = newEnum(map[audit.Missing]netpoldv1.Missing{
		audit.MissingPort: netpoldv1.Missing_MISSING_PORT,
		audit.MissingPeer: netpoldv1.Missing_MISSING_PEER,
	})
)

// Explanation returns an explanation in the form of a response, without its answer and text. port is that of
// the question. locate returns where a policy was read; nil if nothing is known.
func Explanation(
	e *engine.Explanation, closest []audit.Closest, port uint16, locate func(engine.ObjectKey) mirror.Location,
) *netpoldv1.ExplainResponse {
	x := newExplainer(e, locate)
	r := &netpoldv1.ExplainResponse{
		Src: explainedEnd(&e.Src), Dst: explainedEnd(&e.Dst), Port: uint32(e.Port),
		Protocol: protocols.proto(e.Protocol), Family: ipFamilies.proto(e.Family),
		Egress: x.side(audit.Egress, &e.Egress), Ingress: x.side(audit.Ingress, &e.Ingress),
	}
	if s := e.Service; s != nil {
		r.Service = &netpoldv1.ServiceStep{
			Namespace: s.Namespace, Name: s.Name, Port: uint32(port), Endpoint: addrText(e.Dst.IP),
			TargetPort: uint32(e.Port),
		}
	}
	for i := range closest {
		r.Closest = append(r.Closest, closestRule(&closest[i]))
	}
	x.setDetails()
	return r
}

func explainedEnd(e *engine.ExplainedEnd) *netpoldv1.ExplainedEnd {
	to := &netpoldv1.ExplainedEnd{
		Kind: endKinds.proto(e.Kind), Namespace: e.Namespace, Name: e.Name, Node: e.Node, Labels: e.Labels,
		NamespaceLabels: e.NamespaceLabels,
	}
	if e.Workload.Name != "" {
		to.Workload = &netpoldv1.WorkloadRef{Namespace: e.Namespace, Kind: e.Workload.Kind, Name: e.Workload.Name}
	}
	for _, ip := range e.IPs {
		if ip.IsValid() {
			to.Ips = append(to.Ips, ip.String())
		}
	}
	for _, p := range e.Ports {
		to.NamedPorts = append(to.NamedPorts, &netpoldv1.NamedPort{
			Name: p.Name, Port: uint32(p.Port), Protocol: protocols.proto(p.Protocol),
		})
	}
	return to
}

// An explainer writes the sides of one explanation. Most of what it writes is rules and entries, so they have their
// memory and their texts together.
type explainer struct {
	e      *engine.Explanation
	locate func(engine.ObjectKey) mirror.Location
	// rules and entries are room for those to come.
	rules   []*netpoldv1.RuleExplanation
	entries []*netpoldv1.Entry
	// written are the entries written, and details their texts, one after the other, of which each ends at ends.
	written []*netpoldv1.Entry
	details []byte
	ends    []int
}

func newExplainer(e *engine.Explanation, locate func(engine.ObjectKey) mirror.Location) explainer {
	rules, entries := 0, 0
	for _, s := range [...]*engine.SideExplanation{&e.Egress, &e.Ingress} {
		for _, t := range s.Tiers {
			for _, p := range t.Policies {
				rules += len(p.Rules)
				for i := range p.Rules {
					entries += len(p.Rules[i].Peers) + len(p.Rules[i].Ports)
				}
			}
		}
	}
	x := explainer{
		e: e, locate: locate, rules: pointers(make([]netpoldv1.RuleExplanation, rules)),
		entries: pointers(make([]netpoldv1.Entry, entries)), details: make([]byte, 0, 32*entries),
		ends: make([]int, 0, entries),
	}
	x.written = x.entries
	return x
}

// setDetails gives the entries their texts.
func (x *explainer) setDetails() {
	text, from := string(x.details), 0
	for i, end := range x.ends {
		x.written[i].Detail, from = text[from:end], end
	}
}

// entry writes an entry whose text was appended to details.
func (x *explainer) entry(to *netpoldv1.Entry, index int, matched bool, why engine.Miss) {
	to.Index, to.Matched, to.Why = uint32(index), matched, misses.proto(why)
	x.ends = append(x.ends, len(x.details))
}

// take returns the first n of what there is room for.
func take[T any](room *[]*T, n int) []*T {
	if n == 0 {
		return nil
	}
	first := (*room)[:n:n]
	*room = (*room)[n:]
	return first
}

func (x *explainer) side(d audit.Direction, s *engine.SideExplanation) *netpoldv1.SideExplanation {
	to := &netpoldv1.SideExplanation{Applies: s.Applies, Allowed: s.Allowed, Exempt: exemptions.proto(s.Exempt)}
	room := maxExplained
	for i := range s.Tiers {
		if decides := decidingPolicy(&s.Tiers[i]); decides >= 0 {
			room -= cost(&s.Tiers[i].Policies[decides])
		}
	}
	for i := range s.Tiers {
		to.Tiers = append(to.Tiers, x.tier(d, &s.Tiers[i], &room))
	}
	return to
}

// decidingPolicy returns the index of the policy with the rule that decided; -1 if there is none.
func decidingPolicy(t *engine.TierExplanation) int {
	for i := range t.Policies {
		for j := range t.Policies[i].Rules {
			if t.Policies[i].Rules[j].Decided {
				return i
			}
		}
	}
	return -1
}

// cost returns how many rules a policy counts as.
func cost(p *engine.PolicyExplanation) int { return max(1, len(p.Rules)) }

// tier writes a tier with the policies for which there is room. The one that decided is always written.
func (x *explainer) tier(d audit.Direction, t *engine.TierExplanation, room *int) *netpoldv1.TierExplanation {
	to := &netpoldv1.TierExplanation{Tier: tiers.proto(t.Tier), Decided: t.Decided}
	if len(t.Policies) > 0 {
		to.Verdict = actions.proto(t.Verdict)
	}
	decides := decidingPolicy(t)
	for i := range t.Policies {
		if i != decides {
			if *room < cost(&t.Policies[i]) {
				continue
			}
			*room -= cost(&t.Policies[i])
		}
		to.Policies = append(to.Policies, x.policy(d, &t.Policies[i]))
	}
	if len(to.GetPolicies()) < len(t.Policies) {
		to.PoliciesTotal = uint32(len(t.Policies))
	}
	return to
}

func (x *explainer) policy(d audit.Direction, p *engine.PolicyExplanation) *netpoldv1.PolicyExplanation {
	to := new(netpoldv1.PolicyExplanation)
	var key engine.ObjectKey
	if c := p.ClusterPolicy; c != nil {
		to.Kind, to.Name, key = c.Kind.String(), c.Name, engine.KeyOf(c)
		if c.Kind != engine.BaselineAdminNetworkPolicy {
			to.Priority = new(c.Priority)
		}
	} else {
		to.Kind, to.Namespace, to.Name, key = "NetworkPolicy", p.Policy.Namespace, p.Policy.Name, engine.KeyOf(p.Policy)
	}
	if x.locate != nil {
		at := x.locate(key)
		to.File, to.Document = at.File, uint32(at.Document)
	}
	to.Rules = take(&x.rules, len(p.Rules))
	for i := range p.Rules {
		x.rule(to.Rules[i], d, p.Policy, &p.Rules[i])
	}
	return to
}

// pointers returns pointers to the elements of a slice; nil for none.
func pointers[T any](list []T) []*T {
	if len(list) == 0 {
		return nil
	}
	to := make([]*T, len(list))
	for i := range list {
		to[i] = &list[i]
	}
	return to
}

func (x *explainer) rule(
	to *netpoldv1.RuleExplanation, d audit.Direction, p *engine.Policy, r *engine.RuleExplanation,
) {
	to.Index, to.Name, to.Action = uint32(r.Index), r.Name, actions.proto(r.Action)
	to.Matched, to.PeerMatched, to.PortMatched = r.Matched, r.PeerMatched, r.PortMatched
	to.Decided, to.Reached, to.AnyPeer, to.AnyPort = r.Decided, r.Reached, r.AnyPeer, r.AnyPort
	to.Peers, to.Ports = take(&x.entries, len(r.Peers)), take(&x.entries, len(r.Ports))
	for i := range r.Peers {
		peer := &r.Peers[i]
		x.details = audit.AppendPeerDetail(x.details, x.e, d, p, peer)
		x.entry(to.Peers[i], peer.Index, peer.Matched, peer.Why)
	}
	for i := range r.Ports {
		port := &r.Ports[i]
		x.details = audit.AppendPortDetail(x.details, x.e, port)
		x.entry(to.Ports[i], port.Index, port.Matched, port.Why)
	}
}

func closestRule(c *audit.Closest) *netpoldv1.Closest {
	to := &netpoldv1.Closest{Side: directions.proto(c.Direction)}
	if c.Denies {
		to.DeniedBy = Rule(c.Rule)
		return to
	}
	to.Policy, to.Missing, to.PeerIndex = Rule(c.Rule), missings.proto(c.Missing), uint32(c.Peer)
	to.OtherSideDenies = c.OtherDenies
	switch {
	case c.Port != nil:
		to.Fix = &netpoldv1.Closest_OpenPort{OpenPort: &netpoldv1.PortFix{
			Protocol: protocols.proto(c.Port.Protocol), Port: uint32(c.Port.First),
		}}
	case c.Labels != nil:
		to.Fix = &netpoldv1.Closest_SetLabels{SetLabels: &netpoldv1.LabelFix{
			OfNamespace: c.Labels.OfNamespace, Labels: c.Labels.Set, Remove: c.Labels.Remove,
		}}
	case c.CIDR != (netip.Prefix{}):
		to.Fix = &netpoldv1.Closest_AddCidr{AddCidr: c.CIDR.String()}
	}
	return to
}
