package main

import (
	_ "embed"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

//go:embed netpol.rego
var netpolRego string

// A document is the data of netpol.rego: pods by address, and rules by id.
type document struct {
	Pods  map[string]documentPod  `json:"pods"`
	Rules map[string]documentRule `json:"rules"`
}

type documentPod struct {
	Groups map[string]bool `json:"groups"`
	// Ports are the named ones of TCP.
	Ports map[string]uint16 `json:"ports"`
	// Egress and Ingress are nil if no policy isolates the Pod.
	Egress  *[]string `json:"egress,omitempty"`
	Ingress *[]string `json:"ingress,omitempty"`
}

type documentRule struct {
	Peers *[]string       `json:"peers,omitempty"`
	Ports *[]documentPort `json:"ports,omitempty"`
}

type documentPort struct {
	First uint16 `json:"first,omitempty"`
	Last  uint16 `json:"last,omitempty"`
	Name  string `json:"name,omitempty"`
}

// document is a model as data of netpol.rego.
func (m *model) document() *document {
	d := &document{map[string]documentPod{}, map[string]documentRule{}}
	named := map[string]bool{}
	rulesOf := func(s *side) *[]string {
		if !s.isolated {
			return nil
		}
		ids := []string{}
		for _, r := range s.rules {
			ids = append(ids, r.id)
			if _, known := d.Rules[r.id]; known {
				continue
			}
			d.Rules[r.id] = documentRuleOf(r)
			for _, g := range r.peers {
				named[g.id] = true
			}
		}
		return &ids
	}
	for _, p := range m.pods {
		to := documentPod{Groups: map[string]bool{}, Ports: map[string]uint16{},
			Egress: rulesOf(&p.egress), Ingress: rulesOf(&p.ingress)}
		for _, port := range p.Ports {
			if port.Protocol == engine.TCP {
				to.Ports[port.Name] = port.Port
			}
		}
		d.Pods[p.ip] = to
	}
	for _, p := range m.pods {
		for _, g := range p.groups {
			if named[g.id] {
				d.Pods[p.ip].Groups[g.id] = true
			}
		}
	}
	return d
}

func documentRuleOf(r *rule) documentRule {
	var to documentRule
	if !r.anyPeer {
		ids := []string{}
		for _, g := range r.peers {
			ids = append(ids, g.id)
		}
		to.Peers = &ids
	}
	if len(r.ports) > 0 {
		list := []documentPort{}
		for _, p := range r.ports {
			switch {
			case p.Protocol != engine.TCP: // no question is about others
			case p.Name != "":
				list = append(list, documentPort{Name: p.Name})
			default:
				list = append(list, documentPort{First: p.First, Last: p.Last})
			}
		}
		to.Ports = &list
	}
	return to
}

// A patch is one step of a JSON Patch (RFC 6902).
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patches turn one document into another.
func patches(from, to *document) []patch {
	return slices.Concat(patchesOf("/pods/", from.Pods, to.Pods), patchesOf("/rules/", from.Rules, to.Rules))
}

func patchesOf[V any](under string, from, to map[string]V) []patch {
	var list []patch
	for _, key := range slices.Sorted(maps.Keys(to)) {
		path := under + escaped(key)
		was, found := from[key]
		switch {
		case !found:
			list = append(list, patch{"add", path, to[key]})
		case !reflect.DeepEqual(was, to[key]):
			list = append(list, patch{"replace", path, to[key]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if _, found := to[key]; !found {
			list = append(list, patch{Op: "remove", Path: under + escaped(key)})
		}
	}
	return list
}

// escaped is a key in a JSON Pointer (RFC 6901).
func escaped(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// unescaped is the key again.
func unescaped(part string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
}
