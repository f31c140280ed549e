package hubble

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// maxRecord is the longest flow record, in bytes (A8).
const maxRecord = 1 << 20

// record returns what a message says, as package flows reads it from the output of "hubble observe -o json"
// (F2, and the table of the contract). File and Line are left to the caller.
func record(m *observer.GetFlowsResponse) flows.Record {
	f := m.GetFlow()
	r := flows.Record{Time: timeOf(f.GetTime()), Why: flows.NotAFlow}
	if r.Time.IsZero() {
		r.Time = timeOf(m.GetTime())
	}
	if f == nil {
		return r
	}
	if proto.Size(f) > maxRecord {
		return malformed(fmt.Sprintf("record: is longer than %d bytes; leave out what is not needed", maxRecord))
	}
	readVerdict(f, &r)
	r.AllowedBy = policies(policies(nil, f.GetEgressAllowedBy()), f.GetIngressAllowedBy())
	r.DeniedBy = policies(policies(nil, f.GetEgressDeniedBy()), f.GetIngressDeniedBy())
	readEnd(f.GetSource(), &r.Src)
	readEnd(f.GetDestination(), &r.Dst)
	var problem [3]string
	r.Src.IP, problem[0] = address("IP.source", f.GetIP().GetSource())
	r.Dst.IP, problem[1] = address("IP.destination", f.GetIP().GetDestination())
	hasPorts := false
	hasPorts, problem[2] = readTransport(f.GetL4(), &r)
	for _, p := range problem {
		if p != "" {
			return malformed(p)
		}
	}
	r.Why = why(f, &r, hasPorts)
	return r
}

func malformed(problem string) flows.Record {
	return flows.Record{Why: flows.Malformed, Problem: problem}
}

// why returns why a record is not asked, as far as it tells itself (F2).
func why(f *flow.Flow, r *flows.Record, hasPorts bool) flows.Why {
	switch {
	case !r.Src.IP.IsValid() || !r.Dst.IP.IsValid():
		return flows.NotAFlow
	case f.GetType() == flow.FlowType_L7 || f.GetType() == flow.FlowType_SOCK || !hasPorts || r.Port == 0:
		return flows.NotL4
	case isReply(f):
		return flows.Reply
	default:
		return ""
	}
}

// isReply reports whether a flow answers another. Hubble does not always know: then a TCP packet with SYN and
// ACK is a reply.
func isReply(f *flow.Flow) bool {
	if told := f.GetIsReply(); told != nil {
		return told.GetValue()
	}
	flags := f.GetL4().GetTCP().GetFlags()
	//nolint:staticcheck // Hubble before 0.8 has no other field.
	return f.GetReply() || flags.GetSYN() && flags.GetACK()
}

func readVerdict(f *flow.Flow, r *flows.Record) {
	switch f.GetVerdict() {
	case flow.Verdict_FORWARDED, flow.Verdict_REDIRECTED:
		r.Observed = flows.ObservedAllowed
	case flow.Verdict_AUDIT:
		r.Observed = flows.ObservedDenied
	case flow.Verdict_DROPPED:
		if byPolicy(f.GetDropReasonDesc()) ||
			byPolicy(flow.DropReason(min(f.GetDropReason(), math.MaxInt32))) { //nolint:staticcheck // Of old releases.
			r.Observed = flows.ObservedDenied
		}
	default:
	}
	switch f.GetTrafficDirection() {
	case flow.TrafficDirection_EGRESS:
		r.Direction = flows.AtEgress
	case flow.TrafficDirection_INGRESS:
		r.Direction = flows.AtIngress
	default:
	}
}

// byPolicy reports whether a drop was a policy's doing.
func byPolicy(reason flow.DropReason) bool {
	return reason == flow.DropReason_POLICY_DENIED || reason == flow.DropReason_POLICY_DENY
}

func readEnd(e *flow.Endpoint, end *flows.End) {
	end.Namespace, end.Pod = e.GetNamespace(), e.GetPodName()
}

// address returns the address that text writes, an IPv4-mapped one as IPv4 (S9). An empty text is none.
func address(field, text string) (netip.Addr, string) {
	if text == "" {
		return netip.Addr{}, ""
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, fmt.Sprintf("%s: %s is not an IPv4 or IPv6 address; write it like \"10.0.3.7\" or "+
			"\"2001:db8::7\"", field, strconv.Quote(text))
	}
	return addr.Unmap(), ""
}

// readTransport reads protocol and port. It reports whether the protocol has ports.
func readTransport(l4 *flow.Layer4, r *flows.Record) (hasPorts bool, problem string) {
	var port uint32
	switch {
	case l4.GetTCP() != nil:
		r.Protocol, port = engine.TCP, l4.GetTCP().GetDestinationPort()
	case l4.GetUDP() != nil:
		r.Protocol, port = engine.UDP, l4.GetUDP().GetDestinationPort()
	case l4.GetSCTP() != nil:
		r.Protocol, port = engine.SCTP, l4.GetSCTP().GetDestinationPort()
	default:
		return false, ""
	}
	if port > math.MaxUint16 {
		return true, fmt.Sprintf("l4.destination_port: \"%d\" is not a port; give 1 to 65535", port)
	}
	r.Port = uint16(port)
	return true, ""
}

// derivedFrom is the label by which releases before 1.17 tell the kind of a policy.
const derivedFrom = "k8s:io.cilium.k8s.policy.derived-from="

// policies appends policies as "kind namespace/name", without what is not told.
func policies(list []string, named []*flow.Policy) []string {
	for _, p := range named {
		if p.GetName() == "" {
			continue
		}
		kind, name := p.GetKind(), p.GetName()
		for _, label := range p.GetLabels() {
			if from, ok := strings.CutPrefix(label, derivedFrom); ok && from != "" && p.GetKind() == "" {
				kind = from
			}
		}
		if p.GetNamespace() != "" {
			name = p.GetNamespace() + "/" + name
		}
		if kind != "" {
			name = kind + " " + name
		}
		list = append(list, name)
	}
	return list
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if !t.IsValid() {
		return time.Time{} // None, or one that no clock shows.
	}
	return t.AsTime()
}
