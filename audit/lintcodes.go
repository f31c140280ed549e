package audit

import (
	"maps"
	"slices"
)

// Code names what is wrong in a [Finding]. Codes are never reused; new ones may come.
type Code string

// The codes.
const (
	InvalidEntryCode         Code = "invalid-entry"
	SelectsNothing           Code = "selects-nothing"
	SubjectHostNetwork       Code = "subject-host-network"
	RulesIgnored             Code = "rules-ignored"
	IsolatesIngressByDefault Code = "isolates-ingress-by-default"
	PeerMatchesNothing       Code = "peer-matches-nothing"
	PeerHostNetwork          Code = "peer-host-network"
	PortNameUnknown          Code = "port-name-unknown"
	RuleMatchesNothing       Code = "rule-matches-nothing"
	RuleCovered              Code = "rule-covered"
	RuleRedundant            Code = "rule-redundant"
	NotIsolated              Code = "not-isolated"
	IPBlockCoversPods        Code = "ipblock-covers-pods"
	EgressForgetsDNS         Code = "egress-forgets-dns"
	ServicePortNotTarget     Code = "service-port-not-target"
	AllowsAll                Code = "allows-all"
	PriorityTie              Code = "priority-tie"
	RuleNeverReached         Code = "rule-never-reached"
	UnknownCodeIgnored       Code = "unknown-code-ignored"
)

// CodeInfo is what people are told of a code.
type CodeInfo struct {
	// Severity is the usual one.
	Severity Severity
	// Title is short, Help says what is found and why it matters, Remedy what to do. All are sentences.
	Title, Help, Remedy string
}

// Codes returns all codes, sorted, and what people are told of each.
func Codes() ([]Code, map[Code]CodeInfo) {
	return slices.Sorted(maps.Keys(codeInfo)), maps.Clone(codeInfo)
}

// codeNames returns all codes as text, sorted.
func codeNames() []string {
	var names []string
	for c := range codeInfo {
		names = append(names, string(c))
	}
	slices.Sort(names)
	return names
}

// codeInfo has every code.
var codeInfo = map[Code]CodeInfo{
	InvalidEntryCode: {
		SeverityError, "An entry is invalid and does not count.",
		"The API server would refuse the entry today, so that it is out of force: it matches nothing, while " +
			"the policy goes on isolating.",
		"Correct the field, and apply the policy again.",
	},
	SelectsNothing: {
		SeverityWarning, "The policy selects no Pod.",
		"No Pod that has not finished has the labels that the policy selects, so that it does nothing. Often " +
			"a label is misspelled, or the workload was renamed.",
		"Correct the selector, or delete the policy if its Pods are gone.",
	},
	SubjectHostNetwork: {
		SeverityWarning, "The policy cannot apply to a Pod on the host network.",
		"A Pod on the host network has the identity of its Node, and no policy can apply to it, although the " +
			"policy's selector matches its labels.",
		"Take the Pod off the host network, or protect it by a firewall of its Node.",
	},
	RulesIgnored: {
		SeverityWarning, "Rules of a direction that policyTypes does not list are ignored.",
		"The policy has rules of a direction that its policyTypes does not list. They have no effect.",
		"Add the direction to policyTypes, which isolates the Pods for it, or delete the rules.",
	},
	IsolatesIngressByDefault: {
		SeverityWarning, "A policy with egress rules alone denies all ingress.",
		"Without policyTypes a policy always isolates for ingress. This one has egress rules and no ingress " +
			"rule, so that it denies everything that comes in, which may not be meant.",
		"Write policyTypes: [Egress] if ingress is not meant, and [Ingress, Egress] if it is.",
	},
	PeerMatchesNothing: {
		SeverityWarning, "A peer matches nothing.",
		"No Pod matches the peer, or all addresses of its range are excepted, so that the entry does nothing.",
		"Correct the selector or the range, or delete the entry.",
	},
	PeerHostNetwork: {
		SeverityWarning, "A peer matches only Pods on the host network, which selectors cannot match.",
		"Pods on the host network have the identity of their Node. Selectors never match them; only ipBlock " +
			"does, by the addresses of the Node.",
		"Name the addresses of the Nodes with ipBlock.",
	},
	PortNameUnknown: {
		SeverityWarning, "No Pod has a port of this name.",
		"A named port is looked up among the container ports of the destination: for ingress the Pods that the " +
			"policy selects, for egress those that the peers match. None of them has one of this name and " +
			"protocol, so that the entry does nothing.",
		"Correct the name or the protocol, or name the container's port so.",
	},
	RuleMatchesNothing: {
		SeverityWarning, "A rule matches nothing.",
		"None of the rule's peers, or none of its ports, can match anything now, so that the rule does nothing.",
		"Correct the peers or the ports, or delete the rule.",
	},
	RuleCovered: {
		SeverityWarning, "Another rule allows all that this one does.",
		"One other rule has peers and ports that contain those of this one, whatever Pods there are. Deleting " +
			"the rule changes nothing.",
		"Delete the rule, or narrow the other one if that is too wide.",
	},
	RuleRedundant: {
		SeverityInfo, "Deleting the rule would change nothing now.",
		"The rule matches something, but other rules allow it as well, or the other side denies it. Deleting " +
			"the rule changes no verdict of the present Pods and addresses. New Pods may change that.",
		"Keep it if it is meant for Pods to come; otherwise delete it.",
	},
	NotIsolated: {
		SeverityInfo, "Pods are not isolated.",
		"No NetworkPolicy isolates these Pods for the direction, so that everything is allowed unless a " +
			"cluster-wide policy denies it.",
		"Add a policy that denies by default in the namespace, if this is not meant.",
	},
	IPBlockCoversPods: {
		SeverityWarning, "An ipBlock has addresses of Pods in it.",
		"Network plugins differ in whether an ipBlock matches Pods. ipBlock is meant for addresses outside the " +
			"cluster.",
		"Except the range of Pod addresses from the block, and name Pods by selectors.",
	},
	EgressForgetsDNS: {
		SeverityWarning, "Egress is restricted without allowing DNS.",
		"Egress rules allow these Pods some destinations, but not UDP 53 to the cluster's DNS, so that they " +
			"cannot look up the names of their destinations.",
		"Allow UDP and TCP 53 to the Pods with k8s-app=kube-dns in namespace kube-system.",
	},
	ServicePortNotTarget: {
		SeverityWarning, "A rule opens the port of a Service in place of its target port.",
		"Policies act after the destination was translated: on the port of the Pod, not that of the Service. " +
			"The number is a port of a Service of these Pods, but nothing that they listen on.",
		"Open the Service's target port.",
	},
	AllowsAll: {
		SeverityInfo, "A rule allows everything.",
		"The rule has neither peers nor ports: it allows every peer on every port, from and to outside the " +
			"cluster too.",
		"Name the peers and the ports that are meant.",
	},
	PriorityTie: {
		SeverityWarning, "Two cluster-wide policies of one priority select the same Pod.",
		"Policies of one tier and priority have no order that the API defines. netpold asks them by name; " +
			"network plugins may not.",
		"Give the policies different priorities.",
	},
	RuleNeverReached: {
		SeverityWarning, "Earlier rules of the tier take all that this one matches.",
		"The first rule of a tier that matches decides. For every Pod that the policy selects, earlier rules " +
			"match whatever this one does, so that it never decides. Deleting it changes nothing.",
		"Delete the rule, or move it before the others if it is meant to win.",
	},
	UnknownCodeIgnored: {
		SeverityInfo, "An annotation suppresses a code that does not exist.",
		"The annotation netpold.dev/lint-ignore of the policy, or of the Namespace, has a word that is no code, so " +
			"that it suppresses nothing. A newer netpold may know it.",
		"Correct the code, or delete the word.",
	},
}
