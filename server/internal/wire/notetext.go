package wire

import (
	"fmt"
	"strings"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/proto/notes"
)

// maxNamed limits the policies, Pods or ports that a message names. It counts the others.
const maxNamed = 5

// noteOf returns a note of the engine as a code and words.
func noteOf(d *engine.Details, n *engine.Note) notes.Note {
	switch n.Code {
	case engine.NoteOutside, engine.NoteSecondary:
		return notes.Note{Code: notes.OutsideCluster, Message: outsideText(n)}
	case engine.NoteEmptyNamespace:
		return notes.Note{Code: notes.EmptyNamespace, Message: fmt.Sprintf(
			"no object of namespace %s was read, so that no policy of it can apply: is the name right?",
			n.Namespace)}
	case engine.NoteHostNetwork:
		return notes.Note{Code: notes.HostNetwork, Message: hostNetworkText(n)}
	case engine.NoteNodePort:
		return notes.Note{Code: notes.NodePort, Message: fmt.Sprintf(
			"port %d/%s of a Node leads to Service %s, whose Pods were not asked: "+
				"ask svc/%s on port %d, the Service's",
			d.Port, d.Protocol, objectName(n), objectName(n), n.Port)}
	case engine.NoteHostPort:
		return notes.Note{Code: notes.HostPort, Message: fmt.Sprintf(
			"port %d/%s of Node %s leads to Pod %s, which was not asked: ask %s on port %d, the Pod's",
			d.Port, d.Protocol, d.Dst.Node, objectName(n), objectName(n), n.Port)}
	case engine.NotePortNameMissing:
		return notes.Note{Code: notes.PortNameMissing, Message: fmt.Sprintf(
			"%s for ports by name that the Pod of labels does not have: %s; "+
				"if it has them, say so: in named_ports, or in words as #%s=PORT after the labels",
			asking(n), strings.Join(n.Names, ", "), n.Names[0])}
	case engine.NoteNoAddress:
		return notes.Note{Code: notes.NoAddress, Message: noAddressText(d, n)}
	case engine.NoteNamespaceUnknown:
		return notes.Note{Code: notes.NamespaceUnknown, Message: fmt.Sprintf(
			"the Namespace %s was not read, so that its name is its only label (S18); "+
				"%s for its labels %s: give the Namespaces too",
			n.Namespace, asking(n), strings.Join(n.Names, ", "))}
	case engine.NoteAmbient:
		return notes.Note{Code: notes.AmbientMesh, Message: fmt.Sprintf(
			"both Pods are in an Istio ambient mesh, which connects to port %d of the destination instead: "+
				"ask that port too; what the mesh itself allows is not in the answer", n.Port)}
	default: // engine.NoteReverseAllowed
		return notes.Note{Code: notes.ReverseAllowed, Message: fmt.Sprintf(
			"the other way is allowed: %s may open %d/%s to %s; were source and destination exchanged?",
			resolvedText(&d.Dst), d.Port, d.Protocol, resolvedText(&d.Src))}
	}
}

func outsideText(n *engine.Note) string {
	switch {
	case n.Code == engine.NoteSecondary:
		return fmt.Sprintf("%s is the address of Pod %s in a second network, which NetworkPolicy says nothing of: "+
			"ask %s for the cluster's network", n.IP, objectName(n), objectName(n))
	case n.Name != "":
		return fmt.Sprintf("Pod %s had the address %s and has finished (S6): no Pod has it now, so that %s",
			objectName(n), n.IP, onlyBlocks(n))
	case n.Range.IsValid():
		return fmt.Sprintf("%s is in the range of Pods %s of Node %s, and no Pod has it: "+
			"bridges and tunnels of network plugins have such addresses, from which the Node itself may connect; "+
			"ask one of the Node's own addresses instead", n.IP, n.Range, n.Node)
	}
	return fmt.Sprintf("%s is outside the cluster: no Pod, Node or Service has it, so that %s", n.IP,
		onlyBlocks(n))
}

// onlyBlocks says what matches an address that belongs to no Pod of the Pod network.
func onlyBlocks(n *engine.Note) string {
	switch {
	case !n.HasTiers:
		return "only an ipBlock or a rule without peers matches it"
	case n.Code == engine.NoteHostNetwork:
		return "only an ipBlock, a peer nodes or networks (egress), or a rule without peers matches it"
	}
	return "only an ipBlock, a peer networks (egress), or a rule without peers matches it"
}

func hostNetworkText(n *engine.Note) string {
	consequence := "no policy can select it, and as a peer " + onlyBlocks(n) + " (S4)"
	if n.IP.IsValid() {
		return fmt.Sprintf("%s is a Node's address, which Pods on the host network share, such as %s: %s",
			n.IP, objectName(n), consequence)
	}
	return fmt.Sprintf("%s is on the host network: %s", objectName(n), consequence)
}

func objectName(n *engine.Note) string { return n.Namespace + "/" + n.Name }

// endText returns the endpoint that a note is about, in words.
func endText(d *engine.Details, n *engine.Note) string {
	if n.Dst {
		return resolvedText(&d.Dst)
	}
	return resolvedText(&d.Src)
}

// resolvedText returns what an endpoint turned out to be, in words.
func resolvedText(r *engine.Resolved) string {
	switch r.Kind {
	case engine.ResolvedPod, engine.ResolvedHostNetworkPod:
		return r.Namespace + "/" + r.Name
	case engine.ResolvedNode:
		if r.Node != "" {
			return "Node " + r.Node
		}
	case engine.ResolvedHypothetical:
		return "the Pod of labels in " + r.Namespace
	case engine.ResolvedExternal, engine.ResolvedNothing:
	}
	return addrText(r.IP)
}

// noAddressText says what an end that has no address yet is not matched by.
func noAddressText(d *engine.Details, n *engine.Note) string {
	if len(n.ClusterPolicies) > 0 {
		return fmt.Sprintf("%s has no address yet, so that no networks match it (S39); "+
			"%s for networks on this port, and may decide otherwise once it has one", endText(d, n), asking(n))
	}
	return fmt.Sprintf("%s has no address yet, so that no ipBlock matches it (S8); "+
		"%s for ipBlocks on this port, and may allow it once it has one", endText(d, n), asking(n))
}

// asking returns the policies of a note as the subject of a sentence. Examples: "policy shop/a asks",
// "policies shop/a, shop/b and 3 more ask", "AdminNetworkPolicy no-db asks".
func asking(n *engine.Note) string {
	var names []string
	subject, subjects := "policy ", "policies "
	for _, p := range n.Policies {
		names = append(names, policyName(p))
	}
	for _, p := range n.ClusterPolicies {
		subject, subjects = "", ""
		names = append(names, p.Kind.String()+" "+p.Name)
	}
	if len(names) == 1 {
		return subject + names[0] + " asks"
	}
	return subjects + listed(names, len(names)) + " ask"
}

// listed joins the first few of n names. Example: "a, b and 7 more".
func listed(first []string, n int) string {
	first = first[:min(len(first), maxNamed)]
	text := strings.Join(first, ", ")
	if more := n - len(first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
