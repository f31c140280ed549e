package manifests

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netpold/netpold/engine"
)

// keepService gives an applied Service the addresses and families that the cluster filled in, where it names
// none. A Service with a selector gets its slices from [laying.followPods]. Of one without, what an earlier
// document of the overlay says of its Pods no longer counts.
func (l *laying) keepService(s *corev1.Service) {
	key := engine.ObjectKey{Kind: engine.KindService, Namespace: s.Namespace, Name: s.Name}
	delete(l.services, key)
	o, _ := l.object(key)
	fresh, isService := o.(*engine.Service)
	if !isService || fresh.ExternalName {
		return
	}
	if was, ok := l.base.Object(key); ok && s.Spec.ClusterIP == "" && len(s.Spec.ClusterIPs) == 0 {
		if was := was.(*engine.Service); !was.ExternalName {
			fresh.Headless = was.Headless
			for _, ip := range was.IPs {
				if !slices.Contains(fresh.IPs, ip) {
					fresh.IPs = append(fresh.IPs, ip)
				}
			}
			if fresh.Families == 0 {
				fresh.Families = was.Families
			}
		}
	}
	if len(fresh.Selector) > 0 {
		l.services[key] = true
	}
}

// followPods makes the slices of the applied Services, and of those whose Pods the overlay changes (S24).
func (l *laying) followPods() {
	changed := map[string][]engine.ObjectKey{} // Pods, by namespace
	for _, key := range slices.Clone(l.order) {
		if key.Kind == engine.KindPod {
			changed[key.Namespace] = append(changed[key.Namespace], key)
		}
		if l.services[key] && !l.sliced[key] {
			o, _ := l.object(key)
			l.slice(o.(*engine.Service))
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(changed)) {
		for _, key := range l.base.ObjectsIn(namespace) {
			o, _ := l.object(key)
			s, ok := o.(*engine.Service)
			if !ok || len(s.Selector) == 0 || l.services[key] || l.sliced[key] {
				continue
			}
			if slices.ContainsFunc(changed[namespace], func(pod engine.ObjectKey) bool { return l.moves(s, pod) }) {
				l.slice(s)
			}
		}
	}
}

// moves reports whether a changed Pod may change the endpoints of a Service.
func (l *laying) moves(s *engine.Service, key engine.ObjectKey) bool {
	was, _ := l.base.Object(key)
	before, there := was.(*engine.Pod)
	after, stays := l.pod(key)
	there = there && !before.Finished && selects(s.Selector, before.Labels)
	stays = stays && !after.Finished && selects(s.Selector, after.Labels)
	return there != stays || there && !(slices.Equal(before.IPs, after.IPs) && slices.Equal(before.Ports, after.Ports))
}

// slicesOf returns the slices of a Service, as they are by now.
func (l *laying) slicesOf(service engine.ObjectKey) (list []*engine.EndpointSlice) {
	for _, key := range l.objectsIn(service.Namespace) {
		if key.Kind == engine.KindEndpointSlice {
			o, _ := l.object(key)
			if slice := o.(*engine.EndpointSlice); slice.Service == service.Name {
				list = append(list, slice)
			}
		}
	}
	return list
}

// slice replaces the slices of a Service by those of the Pods that it selects now. A Pod that was an endpoint
// stays as ready as it was. One that the Service selected without making it an endpoint is not ready; others
// are.
func (l *laying) slice(s *engine.Service) {
	key := engine.KeyOf(s)
	old := l.slicesOf(key)
	for _, slice := range old {
		l.remove(engine.KeyOf(slice))
	}
	var selector map[string]string // of the Service before
	if was, ok := l.base.Object(key); ok && len(old) > 0 {
		selector = was.(*engine.Service).Selector
	}
	endpoints := endpointsByPod(old)
	var pods []*pod
	for _, podKey := range l.objectsIn(s.Namespace) {
		p, ok := l.pod(podKey)
		if !ok || p.Finished || !selects(s.Selector, p.Labels) {
			continue
		}
		read := l.read[podKey]
		if read == nil || read.bare {
			read = &pod{Pod: p, ready: true}
			if e, known := endpoints.of(p); known {
				read.ready, read.terminating = e.Ready || e.Serving, e.Terminating
			} else if was, there := l.base.Object(podKey); there && len(selector) > 0 {
				read.ready = !selects(selector, was.(*engine.Pod).Labels)
			}
		}
		pods = append(pods, &pod{Pod: p, ready: read.ready, terminating: read.terminating})
	}
	maker := newReading(Options{})
	maker.makeSlices(serviceOf(s), pods)
	for _, o := range maker.objects {
		l.set(o)
	}
}

// A podEndpoints finds the endpoint of a Pod, by address or by name.
type podEndpoints struct {
	byAddr map[netip.Addr]engine.SliceEndpoint
	byPod  map[string]engine.SliceEndpoint
}

// endpointsByPod returns the endpoints of slices.
func endpointsByPod(of []*engine.EndpointSlice) podEndpoints {
	e := podEndpoints{map[netip.Addr]engine.SliceEndpoint{}, map[string]engine.SliceEndpoint{}}
	for _, slice := range of {
		for _, x := range slice.Endpoints {
			if x.Addr.IsValid() {
				e.byAddr[x.Addr.Unmap()] = x
			} else {
				e.byPod[x.Pod] = x
			}
		}
	}
	return e
}

func (e *podEndpoints) of(p *engine.Pod) (engine.SliceEndpoint, bool) {
	for _, ip := range p.IPs {
		if x, ok := e.byAddr[ip]; ok {
			return x, true
		}
	}
	x, ok := e.byPod[p.Name]
	return x, ok
}

// serviceOf returns a Service as its slices are made of it.
func serviceOf(s *engine.Service) *corev1.Service {
	out := &corev1.Service{}
	out.Namespace, out.Name, out.Spec.Selector = s.Namespace, s.Name, s.Selector
	out.Spec.PublishNotReadyAddresses = s.PublishNotReady
	for _, p := range s.Ports {
		port := corev1.ServicePort{Name: p.Name, Port: int32(p.Port), Protocol: corev1.Protocol(p.Protocol.String())}
		for _, d := range s.PortDetails {
			switch {
			case d.Port != p.Port || d.Protocol != p.Protocol:
			case d.Target != "":
				port.TargetPort = intstr.FromString(d.Target)
			case d.TargetPort != 0:
				port.TargetPort = intstr.FromInt32(int32(d.TargetPort))
			}
		}
		out.Spec.Ports = append(out.Spec.Ports, port)
	}
	if s.Families&engine.IPv4 != 0 {
		out.Spec.IPFamilies = append(out.Spec.IPFamilies, corev1.IPv4Protocol)
	}
	if s.Families&engine.IPv6 != 0 {
		out.Spec.IPFamilies = append(out.Spec.IPFamilies, corev1.IPv6Protocol)
	}
	return out
}

// removeStandIns deletes what stood for a workload without Pods that has some now.
func (l *laying) removeStandIns(w *workload) {
	key := engine.ObjectKey{Kind: engine.KindPod, Namespace: w.namespace, Name: w.name + standInMark + w.kind}
	if p, ok := l.pod(key); ok && strings.Contains(p.Name, standInMark) && len(l.livePods(w)) > 0 {
		l.remove(key)
	}
}
