package wire

import (
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An enum maps an enum of the engine to the one of the wire. It is a table because StreamAllowed looks up the
// reason of every question.
type enum[K ~uint8, V ~int32] []V

func newEnum[K ~uint8, V ~int32](values map[K]V) enum[K, V] {
	var e enum[K, V]
	for k, v := range values {
		for len(e) <= int(k) {
			e = append(e, 0)
		}
		e[k] = v
	}
	return e
}

// proto returns the wire's value for k; UNSPECIFIED if there is none.
func (e enum[K, V]) proto(k K) V {
	if int(k) >= len(e) {
		return 0
	}
	return e[k]
}

var (
	reasons = newEnum(map[engine.Reason]netpoldv1.Reason{
		engine.Unknown:         netpoldv1.Reason_REASON_UNSPECIFIED,
		engine.Self:            netpoldv1.Reason_REASON_SELF,
		engine.LocalNode:       netpoldv1.Reason_REASON_LOCAL_NODE,
		engine.NotIsolated:     netpoldv1.Reason_REASON_NOT_ISOLATED,
		engine.AllowedByRule:   netpoldv1.Reason_REASON_ALLOWED_BY_RULE,
		engine.DeniedAtEgress:  netpoldv1.Reason_REASON_DENIED_AT_EGRESS,
		engine.DeniedAtIngress: netpoldv1.Reason_REASON_DENIED_AT_INGRESS,
	})
	tiers = newEnum(map[engine.Tier]netpoldv1.Tier{
		engine.NoTier:          netpoldv1.Tier_TIER_UNSPECIFIED,
		engine.Admin:           netpoldv1.Tier_TIER_ADMIN,
		engine.NetworkPolicies: netpoldv1.Tier_TIER_NETWORK_POLICY,
		engine.Baseline:        netpoldv1.Tier_TIER_BASELINE,
	})
	resolvedKinds = newEnum(map[engine.ResolvedKind]netpoldv1.ResolvedKind{
		engine.ResolvedNothing:        netpoldv1.ResolvedKind_RESOLVED_KIND_UNSPECIFIED,
		engine.ResolvedPod:            netpoldv1.ResolvedKind_RESOLVED_KIND_POD,
		engine.ResolvedHostNetworkPod: netpoldv1.ResolvedKind_RESOLVED_KIND_HOST_NETWORK_POD,
		engine.ResolvedNode:           netpoldv1.ResolvedKind_RESOLVED_KIND_NODE,
		engine.ResolvedExternal:       netpoldv1.ResolvedKind_RESOLVED_KIND_EXTERNAL,
		engine.ResolvedHypothetical:   netpoldv1.ResolvedKind_RESOLVED_KIND_HYPOTHETICAL,
	})
	// ipFamilies has single families: a set of both is UNSPECIFIED.
	ipFamilies = newEnum(map[engine.Families]netpoldv1.IpFamily{
		engine.IPv4: netpoldv1.IpFamily_IP_FAMILY_IPV4,
		engine.IPv6: netpoldv1.IpFamily_IP_FAMILY_IPV6,
	})
	protocols = newEnum(map[engine.Protocol]netpoldv1.Protocol{
		engine.TCP:  netpoldv1.Protocol_PROTOCOL_TCP,
		engine.UDP:  netpoldv1.Protocol_PROTOCOL_UDP,
		engine.SCTP: netpoldv1.Protocol_PROTOCOL_SCTP,
	})
)

// ProtoReason returns the wire's value for a reason.
func ProtoReason(reason engine.Reason) netpoldv1.Reason { return reasons.proto(reason) }

// ProtoProtocol returns the wire's value for a protocol.
func ProtoProtocol(protocol engine.Protocol) netpoldv1.Protocol { return protocols.proto(protocol) }
