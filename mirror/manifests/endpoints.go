package manifests

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
)

// finish adds the objects that follow from those that were read: Pods of workloads, and EndpointSlices of
// Services that have none. It returns all objects.
func (r *fileReader) finish() []engine.Object {
	r.expand()
	byNamespace := map[string][]*pod{}
	for _, p := range r.pods {
		r.objects = append(r.objects, p.Pod)
		byNamespace[p.Namespace] = append(byNamespace[p.Namespace], p)
	}
	for _, s := range r.services {
		if len(s.Spec.Selector) == 0 && s.Spec.Type != corev1.ServiceTypeExternalName &&
			!r.sliced[identity{"Service", s.Namespace, s.Name}] {
			r.mirrorEndpoints(s)
		}
		if len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName &&
			!r.sliced[identity{"Service", s.Namespace, s.Name}] {
			before := len(r.objects)
			if r.makeSlices(s, byNamespace[s.Namespace]); len(r.objects) == before {
				r.reportNoPods(s)
			}
		}
	}
	return r.objects
}

// A placedEndpoints is an Endpoints object with its location.
type placedEndpoints struct {
	at     location
	object *convert.EndpointsObject
}

// mirrorEndpoints adds the EndpointSlices that Kubernetes makes of a Service's Endpoints object (S24).
func (r *fileReader) mirrorEndpoints(s *corev1.Service) {
	for _, e := range r.endpoints {
		if e.object.Namespace != s.Namespace || e.object.Name != s.Name || !convert.IsMirrored(e.object) {
			continue
		}
		made, problems := convert.Endpoints(e.object)
		r.accept(e.at, "", problems)
		for _, slice := range made {
			r.objects = append(r.objects, slice)
		}
	}
}

// maxMadeEndpoints limits the endpoints made for all Services together. Each Service has its own endpoints
// for the Pods that it selects, so a few lines could otherwise use up all memory.
const maxMadeEndpoints = 1_000_000

// makeSlices adds the EndpointSlices that Kubernetes would make for a Service from the Pods of its namespace
// (S24). Pods with the same target ports share a slice. A Pod without an address is an endpoint by name.
func (r *fileReader) makeSlices(s *corev1.Service, pods []*pod) {
	bySignature := map[string]*engine.EndpointSlice{}
	var made []engine.Object
	for _, p := range pods {
		if p.Finished || !selects(s.Spec.Selector, p.Labels) {
			continue
		}
		ports := convert.TargetPorts(s, p.Ports)
		for _, e := range endpointsOf(s, p) {
			if r.madeEndpoints++; r.madeEndpoints > r.mostEndpoints {
				r.reportTooManyEndpoints(s)
				return
			}
			signature := fmt.Sprint(ports, e.Addr.Is6())
			slice := bySignature[signature]
			if slice == nil {
				slice = &engine.EndpointSlice{
					Namespace: s.Namespace,
					// No name in a cluster has a colon, so this one is unique.
					Name:    s.Name + ":" + strconv.Itoa(len(made)),
					Service: s.Name, Ports: ports,
				}
				bySignature[signature] = slice
				made = append(made, slice)
			}
			slice.Endpoints = append(slice.Endpoints, e)
		}
	}
	r.objects = append(r.objects, made...)
}

// reportTooManyEndpoints reports the first Service that exceeds the limit, and no later ones.
func (r *fileReader) reportTooManyEndpoints(s *corev1.Service) {
	if r.madeEndpoints > r.mostEndpoints+1 {
		return
	}
	r.problem(r.seen[identity{"Service", s.Namespace, s.Name}], "spec.selector", fmt.Sprintf(
		"Too many: all Services without an EndpointSlice together select more than %d endpoints: lower the "+
			"replicas of what they select, or give the EndpointSlices",
		r.mostEndpoints))
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// endpointsOf returns the endpoints of a Pod: one with its first address of each family that the Service has,
// or one by name if it has no address.
func endpointsOf(s *corev1.Service, p *pod) []engine.SliceEndpoint {
	published := s.Spec.PublishNotReadyAddresses
	e := engine.SliceEndpoint{
		Ready:       published || p.ready && !p.terminating,
		Serving:     published || p.ready,
		Terminating: p.terminating,
	}
	if len(p.IPs) == 0 {
		e.Pod = p.Name
		return []engine.SliceEndpoint{e}
	}
	var endpoints []engine.SliceEndpoint
	for _, is6 := range []bool{false, true} {
		i := slices.IndexFunc(p.IPs, func(a netip.Addr) bool { return a.Is6() == is6 })
		if i >= 0 && hasFamily(s, is6) {
			e.Addr = p.IPs[i]
			endpoints = append(endpoints, e)
		}
	}
	return endpoints
}

// hasFamily reports whether a Service has a family. A Service that was never applied names no family, and has
// both.
func hasFamily(s *corev1.Service, is6 bool) bool {
	family := corev1.IPv4Protocol
	if is6 {
		family = corev1.IPv6Protocol
	}
	return len(s.Spec.IPFamilies) == 0 || slices.Contains(s.Spec.IPFamilies, family)
}
