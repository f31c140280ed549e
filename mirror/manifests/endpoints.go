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

// finish adds what follows from what was read: the Pods of workloads, and the EndpointSlices of Services without any.
func (r *reading) finish() []engine.Object {
	r.expand()
	byNamespace := map[string][]*pod{}
	for _, p := range r.pods {
		r.objects = append(r.objects, p.Pod)
		byNamespace[p.Namespace] = append(byNamespace[p.Namespace], p)
	}
	for _, s := range r.services {
		if len(s.Spec.Selector) == 0 && s.Spec.Type != corev1.ServiceTypeExternalName && !r.sliced[identity{"Service", s.Namespace, s.Name}] {
			r.mirrorEndpoints(s)
		}
		if len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName && !r.sliced[identity{"Service", s.Namespace, s.Name}] {
			before := len(r.objects)
			if r.slicesOf(s, byNamespace[s.Namespace]); len(r.objects) == before {
				r.noPodsOf(s)
			}
		}
	}
	return r.objects
}

// placedEndpoints is an Endpoints object and where it is.
type placedEndpoints struct {
	at     place
	object *convert.EndpointsObject
}

// mirrorEndpoints adds the EndpointSlices that the API server makes of a Service's Endpoints object (S24).
func (r *reading) mirrorEndpoints(s *corev1.Service) {
	for _, e := range r.endpoints {
		if e.object.Namespace != s.Namespace || e.object.Name != s.Name || !convert.IsMirrored(e.object) {
			continue
		}
		made, problems := convert.Endpoints(e.object)
		r.found(e.at, "", problems)
		for _, slice := range made {
			r.objects = append(r.objects, slice)
		}
	}
}

// maxMadeEndpoints is how many endpoints are made of all Services together: the Pods of every selector would else be counted
// once for each Service that has it, which a few lines can make more than any memory holds.
const maxMadeEndpoints = 1_000_000

// slicesOf adds the EndpointSlices that Kubernetes would make of a Service and the Pods of its namespace: Pods whose ports
// lead to the same numbers share one (S24). A Pod without an address is named instead.
func (r *reading) slicesOf(s *corev1.Service, pods []*pod) {
	bySignature := map[string]*engine.EndpointSlice{}
	var made []engine.Object
	for _, p := range pods {
		if p.Finished || !selects(s.Spec.Selector, p.Labels) {
			continue
		}
		ports := convert.TargetPorts(s, p.Ports)
		for _, e := range endpointsOf(s, p) {
			if r.madeEndpoints++; r.madeEndpoints > r.mostEndpoints {
				r.tooManyEndpoints(s)
				return
			}
			signature := fmt.Sprint(ports, e.Addr.Is6())
			slice := bySignature[signature]
			if slice == nil {
				slice = &engine.EndpointSlice{
					Namespace: s.Namespace,
					// The colon keeps it apart from every name in a cluster.
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

// tooManyEndpoints reports the Service that goes beyond what is made; those after it say the same again, and are left to it.
func (r *reading) tooManyEndpoints(s *corev1.Service) {
	if r.madeEndpoints > r.mostEndpoints+1 {
		return
	}
	r.problem(r.seen[identity{"Service", s.Namespace, s.Name}], "spec.selector", fmt.Sprintf(
		"Too many: all Services without an EndpointSlice together select more than %d endpoints: lower the replicas of what they select, or give the EndpointSlices",
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

// endpointsOf is a Pod as an endpoint: by its first address of each family that the Service has, or by its name.
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

// hasFamily reports whether a Service has a family. One that was never applied names none, and has every family.
func hasFamily(s *corev1.Service, is6 bool) bool {
	family := corev1.IPv4Protocol
	if is6 {
		family = corev1.IPv6Protocol
	}
	return len(s.Spec.IPFamilies) == 0 || slices.Contains(s.Spec.IPFamilies, family)
}
