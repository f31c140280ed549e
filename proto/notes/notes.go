// Package notes has the codes of notes: what an asker may not know about a question or the state. It imports
// nothing, so that every layer may name a code. The messages Note and AllowedResponse of netpold.v1 document
// when each is told.
package notes

// Note is one thing that an asker may not know. A note never changes a verdict.
type Note struct {
	// Code is for machines: one of the constants below. A code keeps its meaning.
	Code string
	// Message is for people: one sentence or two in English, with names, counts and the remedy. Its wording
	// may change.
	Message string
}

// Codes of the whole state, told in GetStatus, in the log of `netpold serve` and on stderr of `netpold
// check`.
const (
	// NoPolicies means that no policy of any kind was read, so that everything is allowed.
	NoPolicies = "NO_POLICIES"
	// NotEnforced means that no policy counts, because the network plugin whose behaviour is followed
	// enforces none.
	NotEnforced = "NOT_ENFORCED"
	// PluginDiffers means that the network plugin whose behaviour is followed treats some policies otherwise
	// than answers say.
	PluginDiffers = "PLUGIN_DIFFERS"
	// UnmodelledPolicies means that objects decide traffic in the cluster that netpold does not model.
	UnmodelledPolicies = "UNMODELLED_POLICIES"
	// PolicySelectsNothing means that policies select no Pod.
	PolicySelectsNothing = "POLICY_SELECTS_NOTHING"
	// NoNamespaces means that policies ask for labels of Namespaces, and that no Namespace was read.
	NoNamespaces = "NO_NAMESPACES"
	// FilesLeftOut means that files among the manifests were not read.
	FilesLeftOut = "FILES_LEFT_OUT"
	// PartialView means that the state is that of one namespace only.
	PartialView = "PARTIAL_VIEW"
)

// Codes of one question, told in the notes of its answer.
const (
	// OutsideCluster means that no object has the address.
	OutsideCluster = "OUTSIDE_CLUSTER"
	// EmptyNamespace means that a LabelledPod is in a namespace without objects.
	EmptyNamespace = "EMPTY_NAMESPACE"
	// HostNetwork means that an end is in its Node's network, which no policy can select (S4).
	HostNetwork = "HOST_NETWORK"
	// PortNameMissing means that a policy that decides, or a rule of a tier that might, names a port that the
	// LabelledPod lacks.
	PortNameMissing = "PORT_NAME_MISSING"
	// NoAddress means that an end has no address yet, and that ipBlocks of a policy that denies might match one
	// (S8), or networks of a tier that might change the answer (S39).
	NoAddress = "NO_ADDRESS"
	// NamespaceUnknown means that a policy that denies, or a rule of a tier that might change the answer,
	// selects namespaces by labels, and an end's Namespace was not read (S18).
	NamespaceUnknown = "NAMESPACE_UNKNOWN"
	// AmbientMesh means that both Pods are in an Istio ambient mesh, which connects to another port.
	AmbientMesh = "AMBIENT_MESH"
	// ReverseAllowed means that a connection is denied which dst may open to src.
	ReverseAllowed = "REVERSE_ALLOWED"
	// NodePort means that a Service's node port was asked by a Node's address.
	NodePort = "NODE_PORT"
	// HostPort means that a Pod's host port was asked by a Node's address.
	HostPort = "HOST_PORT"
)
