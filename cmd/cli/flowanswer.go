package cli

import (
	"net/netip"
	"strings"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/audit/flows"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A flowAnswer is the answer to a question that any number of records ask.
type flowAnswer struct {
	flows.Answer
	// reason is Reason as the wire has it.
	reason          netpoldv1.Reason
	egress, ingress *netpoldv1.Side
	// src and dst are the ends as they were asked, srcName and dstName what they turned out to be.
	src, dst, srcName, dstName string
	// err is why there is no answer; nil if there is one.
	err *spb.Status
	// token and revision name the snapshot. era is when it was asked, see [flowAnswers].
	token    string
	revision uint64
	era      int
}

// set writes the answer to a question with details. Its policies follow from its sides: see [sharedParts].
func (a *flowAnswer) set(question *netpoldv1.AllowedRequest, answer *netpoldv1.BatchAnswer) {
	a.src, a.dst = netpold.FormatEndpoint(question.GetSrc()), netpold.FormatEndpoint(question.GetDst())
	a.srcName, a.dstName = a.src, a.dst
	r := answer.GetResponse()
	if r == nil {
		if a.err = answer.GetError(); a.err == nil {
			a.err = status.New(codes.Internal, "the server sent neither a response nor an error").Proto()
		}
		a.err.Details = nil // output has none of it
		return
	}
	a.reason, a.Reason = r.GetReason(), engineReason(r.GetReason())
	a.egress, a.ingress = r.GetEgress(), r.GetIngress()
	a.token, a.revision = r.GetToken(), r.GetRevision()
	a.Src, a.srcName = flowParty(question.GetSrc(), r.GetSrc(), false)
	a.Dst, a.dstName = flowParty(question.GetDst(), r.GetDst(), true)
}

// engineReason returns a reason as the engine has it; Unknown for one that this program does not know.
func engineReason(r netpoldv1.Reason) engine.Reason {
	switch r {
	case netpoldv1.Reason_REASON_SELF:
		return engine.Self
	case netpoldv1.Reason_REASON_LOCAL_NODE:
		return engine.LocalNode
	case netpoldv1.Reason_REASON_NOT_ISOLATED:
		return engine.NotIsolated
	case netpoldv1.Reason_REASON_ALLOWED_BY_RULE:
		return engine.AllowedByRule
	case netpoldv1.Reason_REASON_DENIED_AT_EGRESS:
		return engine.DeniedAtEgress
	case netpoldv1.Reason_REASON_DENIED_AT_INGRESS:
		return engine.DeniedAtIngress
	case netpoldv1.Reason_REASON_UNSPECIFIED:
	}
	return engine.Unknown
}

// flowParty returns what an end turned out to be, and its name for people.
func flowParty(asked *netpoldv1.Endpoint, r *netpoldv1.Resolved, dst bool) (flows.Party, string) {
	words := netpold.FormatEndpoint(asked)
	p := flows.Party{Name: pairName(words), NewestPolicy: timeOf(r.GetNewestPolicy())}
	if s := r.GetService(); s != nil && dst {
		p.Name = netpold.FormatEndpoint(netpold.Service(s.GetNamespace(), s.GetName()))
		return p, p.Name
	}
	switch r.GetKind() {
	case netpoldv1.ResolvedKind_RESOLVED_KIND_POD, netpoldv1.ResolvedKind_RESOLVED_KIND_HOST_NETWORK_POD:
		pod := r.GetNamespace() + "/" + r.GetName()
		p.Name = pod
		if w := r.GetWorkload(); w != nil {
			p.Name = netpold.FormatEndpoint(netpold.Workload(w.GetNamespace(), w.GetKind(), w.GetName()))
		}
		if asked.GetWorkload() != nil { // it stands for several
			return p, words
		}
		p.Namespace, p.Pod, p.Created = r.GetNamespace(), r.GetName(), timeOf(r.GetCreated())
		return p, pod
	case netpoldv1.ResolvedKind_RESOLVED_KIND_NODE:
		p.Name = "node/" + r.GetNode()
		return p, p.Name
	case netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL:
		p.Name = around(r.GetIp())
	case netpoldv1.ResolvedKind_RESOLVED_KIND_HYPOTHETICAL, netpoldv1.ResolvedKind_RESOLVED_KIND_UNSPECIFIED:
	}
	return p, words
}

// pairName returns words as pairs have them. Long ones are cut, as there may be many pairs.
func pairName(words string) string {
	if len(words) <= wordsRemembered {
		return words
	}
	return strings.ToValidUTF8(words[:wordsRemembered], "") + "..."
}

// around returns the range that stands for an address outside of the cluster (F6): its /24, or its /64.
func around(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// sidePolicies adds the policies that decided a side, if the verdict is the side's.
func sidePolicies(list []flows.Policy, allowed bool, s *netpoldv1.Side) []flows.Policy {
	if s.GetAllowed() != allowed {
		return list
	}
	add := func(kind, name string) {
		p := flows.Policy{Kind: kind, Name: name}
		if kind == networkPolicyKind {
			p.Namespace, p.Name, _ = strings.Cut(name, "/")
		}
		for _, before := range list {
			if before == p {
				return
			}
		}
		list = append(list, p)
	}
	if s.GetPolicy() != "" {
		add(s.GetKind(), s.GetPolicy())
	}
	for _, name := range s.GetIsolatedBy() {
		add(networkPolicyKind, name)
	}
	return list
}

// networkPolicyKind is the kind of a policy with a namespace.
const networkPolicyKind = "NetworkPolicy"
