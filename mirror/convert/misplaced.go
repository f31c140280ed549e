package convert

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/proto/names"
)

// homes has where the fields of the cluster-wide policies belong, and those of a NetworkPolicy that are
// written into one by mistake.
var homes = map[string]string{
	"tier":     "spec of a ClusterNetworkPolicy",
	"priority": "spec of a ClusterNetworkPolicy or an AdminNetworkPolicy",
	"subject":  "spec", "ingress": "spec", "egress": "spec",
	"action":    "a rule",
	"from":      "a rule of spec.ingress",
	"to":        "a rule of spec.egress",
	"protocols": "a rule of a ClusterNetworkPolicy; the older kinds have ports",
	"ports": "a rule of an AdminNetworkPolicy or a BaselineAdminNetworkPolicy; a ClusterNetworkPolicy has " +
		"protocols",
	"namespaces": "spec.subject or a peer in from or to", "pods": "spec.subject or a peer in from or to",
	"nodes": "a peer in to, of spec.egress", "networks": "a peer in to, of spec.egress",
	"domainNames": "a peer in to, of spec.egress of a ClusterNetworkPolicy or an AdminNetworkPolicy",
	"podSelector": "pods", "namespaceSelector": "pods",
	"matchLabels": "a selector", "matchExpressions": "a selector",
	"tcp": inProtocols, "udp": inProtocols, "sctp": inProtocols, "destinationNamedPort": inProtocols,
	"destinationPort": "tcp, udp or sctp of a ClusterNetworkPolicy",
	"number":          "destinationPort of a ClusterNetworkPolicy", "range": "destinationPort of a ClusterNetworkPolicy",
	"start": "a range of ports", "end": "a range of ports",
	"portNumber": inPorts, "portRange": inPorts, "namedPort": inPorts,
	"protocol":    "portNumber or portRange of " + olderKinds + "; a ClusterNetworkPolicy has tcp, udp and sctp",
	"port":        "portNumber of " + olderKinds + "; a ClusterNetworkPolicy has destinationPort: {number: ...}",
	"ipBlock":     "a NetworkPolicy; a cluster-wide policy has networks, in egress",
	"cidr":        "a NetworkPolicy; a cluster-wide policy has networks, in egress",
	"except":      "a NetworkPolicy; in a cluster-wide policy an earlier rule may Pass or Accept",
	"endPort":     "a NetworkPolicy; a cluster-wide policy has a range of ports",
	"policyTypes": "a NetworkPolicy; a cluster-wide policy restricts the directions that it has rules for",
}

const (
	olderKinds  = "an AdminNetworkPolicy or a BaselineAdminNetworkPolicy"
	inProtocols = "an entry of protocols, of a ClusterNetworkPolicy"
	inPorts     = "an entry of ports, of " + olderKinds
)

// unknownField returns the error of a field that its place does not have. known are the fields that the place
// has. The message says what was probably meant.
func unknownField(path *field.Path, name string, known []string) *field.Error {
	otherCase := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	if otherCase >= 0 {
		return field.Forbidden(path, "unknown field: did you mean "+strconv.Quote(known[otherCase])+"?")
	}
	if home := homes[name]; home != "" {
		return field.Forbidden(path, "may not be here: it belongs in "+home)
	}
	// Half of a short name may be wrong by chance: "icmp" is not meant to be "tcp".
	if meant := names.Nearest(name, slices.Values(known)); meant != "" && 2*names.Distance(name, meant) < len(name) {
		return field.Forbidden(path, "unknown field: did you mean "+strconv.Quote(meant)+"?")
	}
	return field.Forbidden(path, "unknown field: netpold does not know what it means; check its spelling and "+
		"its place")
}
