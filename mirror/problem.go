// Package mirror defines what all mirrors of a cluster share: the states that they publish and the problems
// that they find in objects. It is plain data without Kubernetes types. The folders do the work: convert
// turns Kubernetes objects into the engine's, manifests reads them from files, live from a running cluster.
package mirror

import (
	"fmt"
	"strings"
)

// A Problem is one error in an object of the cluster, or in reading it (S23).
type Problem struct {
	// File is the file of the object; empty for objects of a live cluster.
	File string
	// Document is the number of the document in File, from 1; 0 if it does not apply.
	Document int
	// Kind, Namespace and Name identify the object, as far as they are known.
	Kind, Namespace, Name string
	// Field is the path of the field, as the API server writes it. Example:
	// spec.ingress[0].from[1].ipBlock.cidr.
	Field string
	// Message says what is wrong, with the value and, unless obvious, the remedy.
	Message string
	// Warning means that the object is used nevertheless.
	Warning bool
	// Closed means that something in a cluster-wide policy is not understood, so that it allows nothing and may
	// deny more than was meant (S45).
	Closed bool
}

// Object returns the object of the problem, as far as it is known. Examples: "NetworkPolicy shop/web", "Node
// node-1", "Pod".
func (p Problem) Object() string {
	switch {
	case p.Name == "":
		return p.Kind
	case p.Namespace == "":
		return p.Kind + " " + p.Name
	}
	return p.Kind + " " + p.Namespace + "/" + p.Name
}

// String returns the problem in one line:
//
//	shop.yaml, document 2: NetworkPolicy "shop/web": spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Document > 0 {
			fmt.Fprintf(&b, ", document %d", p.Document)
		}
		b.WriteString(": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Kind != "" {
		b.WriteString(p.Kind)
		switch {
		case p.Name == "":
		case p.Namespace == "":
			fmt.Fprintf(&b, " %q", p.Name)
		default:
			fmt.Fprintf(&b, " %q", p.Namespace+"/"+p.Name)
		}
		b.WriteString(": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(strings.Join(strings.Fields(p.Message), " "))
	return b.String()
}
