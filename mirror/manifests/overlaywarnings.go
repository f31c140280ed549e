package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// A placed is where a document of an overlay is: the path of its change, and its place in that.
type placed struct {
	path string
	at   location
	// named means that the change names its file.
	named bool
}

// warnUnchanged warns of what a template asks for and its Pods do not get: their number, and the network of the
// host.
func (r *fileReader) warnUnchanged(w *workload, template *engine.Pod, pods []*engine.Pod) {
	if w.Scaled && w.Replicas != len(pods) {
		noun := "Pods"
		if len(pods) == 1 {
			noun = "Pod"
		}
		r.warn(w.location, w.ReplicasField, fmt.Sprintf("%d are asked for, and it has %d %s: only labels and ports of "+
			"its Pods are changed, and none is added or removed", w.Replicas, len(pods), noun))
	}
	stays := "off"
	if !template.HostNetwork {
		stays = "on"
	}
	if slices.ContainsFunc(pods, func(p *engine.Pod) bool { return p.HostNetwork != template.HostNetwork }) {
		r.warn(w.location, w.PodField+".spec.hostNetwork", fmt.Sprintf("%t differs from its Pods: only their labels and "+
			"ports are changed, and they stay %s the host network", template.HostNetwork, stays))
	}
}

// losses are the labels and the named ports that Pods have and their template lacks.
type losses struct{ labels, ports map[string]bool }

func newLosses() losses { return losses{map[string]bool{}, map[string]bool{}} }

// add adds what a Pod loses.
func (l losses) add(was, fresh *engine.Pod) {
	for key := range was.Labels {
		if _, stays := fresh.Labels[key]; !stays {
			l.labels[key] = true
		}
	}
	for _, port := range was.Ports {
		if !slices.ContainsFunc(fresh.Ports, func(p engine.NamedPort) bool {
			return p.Name == port.Name && p.Protocol == port.Protocol
		}) {
			l.ports[port.Name] = true
		}
	}
}

// String returns the names; empty for none.
func (l losses) String() string {
	var parts []string
	if len(l.labels) > 0 {
		parts = append(parts, "labels "+strings.Join(slices.Sorted(maps.Keys(l.labels)), ", "))
	}
	if len(l.ports) > 0 {
		parts = append(parts, "ports "+strings.Join(slices.Sorted(maps.Keys(l.ports)), ", "))
	}
	return strings.Join(parts, "; ")
}

// warnLonely warns of applied policies in a namespace that nothing else is in.
func (r *overlayReader) warnLonely() {
	lonely := map[string]bool{}
	for _, key := range r.order {
		where, applied := r.policies[key]
		if _, there := r.object(key); !applied || !there {
			continue
		}
		alone, known := lonely[key.Namespace]
		if !known {
			_, named := r.object(engine.ObjectKey{Kind: engine.KindNamespace, Name: key.Namespace})
			alone = !named && !slices.ContainsFunc(r.objectsIn(key.Namespace), func(o engine.ObjectKey) bool {
				return o.Kind != engine.KindPolicy
			})
			lonely[key.Namespace] = alone
		}
		if !alone {
			continue
		}
		warning := mirror.OverlayProblem{Path: where.path, Problem: mirror.Problem{
			Document: where.at.document, Kind: where.at.kind, Namespace: key.Namespace, Name: key.Name,
			Field: "metadata.namespace", Warning: true,
			Message: fmt.Sprintf("nothing else is in the namespace %q, so that the policy selects nothing: check the name",
				key.Namespace),
		}}
		if where.named {
			warning.File = where.at.file
		}
		r.warnings = append(r.warnings, warning)
	}
}
