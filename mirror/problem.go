// Package mirror holds what the mirrors of a cluster have in common: the problems that they find in objects, and the state
// that they publish. Its folders do the work: convert turns Kubernetes objects into the engine's, manifests reads them from
// files.
package mirror

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong in an object of the cluster, or with reading it (S23).
type Problem struct {
	// File is where the object was read; empty for objects of a live cluster.
	File string
	// Document is the document's place in File, from 1; 0 when there is none.
	Document int
	// Kind, Namespace and Name tell the object, as far as they are known.
	Kind, Namespace, Name string
	// Field is the path of the field, as the API server writes it: spec.ingress[0].from[1].ipBlock.cidr.
	Field string
	// Message says what is wrong, with the value and, where it is not plain, the remedy.
	Message string
	// Warning says that the object is read all the same.
	Warning bool
}

// Object is the object that the problem is about, as far as it is known: "NetworkPolicy shop/web", "Node node-1", "Pod".
func (p Problem) Object() string {
	switch {
	case p.Name == "":
		return p.Kind
	case p.Namespace == "":
		return p.Kind + " " + p.Name
	}
	return p.Kind + " " + p.Namespace + "/" + p.Name
}

// String is the problem in one line:
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
