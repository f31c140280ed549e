package convert

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// EndpointsObject is the deprecated Endpoints of Kubernetes. Files still have such objects.
type EndpointsObject = corev1.Endpoints //nolint:staticcheck // see above

// The parts of an EndpointsObject.
type (
	endpointAddress = corev1.EndpointAddress
	endpointPort    = corev1.EndpointPort
)

// IsMirrored reports whether Kubernetes copies an Endpoints object into EndpointSlices when its Service has
// no selector (S24).
func IsMirrored(e *EndpointsObject) bool { return e.Labels[discoveryv1.LabelSkipMirror] != "true" }

// Endpoints converts an Endpoints object to the slices that Kubernetes would make of it: one for each subset
// and address family. Addresses of notReadyAddresses are neither ready nor serving.
func Endpoints(e *EndpointsObject) ([]*engine.EndpointSlice, []mirror.Problem) {
	f := problemList{kind: "Endpoints", namespace: e.Namespace, name: e.Name}
	var made []*engine.EndpointSlice
	for i := range e.Subsets {
		path := "subsets[" + strconv.Itoa(i) + "]"
		ports := f.endpointPorts(e.Subsets[i].Ports, path)
		slice := func(is6 bool) *engine.EndpointSlice {
			// No name in a cluster has a colon, so this one is unique.
			name := e.Name + ":" + strconv.Itoa(i)
			if is6 {
				name += ":6"
			}
			at := slices.IndexFunc(made, func(s *engine.EndpointSlice) bool { return s.Name == name })
			if at < 0 {
				made = append(made, &engine.EndpointSlice{Namespace: intern(e.Namespace), Name: name,
					Service: intern(e.Name), Ports: ports})
				at = len(made) - 1
			}
			return made[at]
		}
		add := func(list []endpointAddress, field string, ready bool) {
			for j := range list {
				addr, ok := addrOf(list[j].IP)
				if !ok {
					f.add(path+"."+field+"["+strconv.Itoa(j)+"].ip",
						"Invalid value: "+strconv.Quote(list[j].IP)+": must be an IP address")
					continue
				}
				to := slice(addr.Is6())
				to.Endpoints = append(to.Endpoints, engine.SliceEndpoint{
					Addr: addr, Pod: podOf(e.Namespace, list[j].TargetRef), Ready: ready, Serving: ready,
				})
			}
		}
		add(e.Subsets[i].Addresses, "addresses", true)
		add(e.Subsets[i].NotReadyAddresses, "notReadyAddresses", false)
	}
	return made, f.list
}

func (f *problemList) endpointPorts(list []endpointPort, path string) []engine.ServicePort {
	var ports []engine.ServicePort
	for j := range list {
		p := &list[j]
		at := func() string { return path + ".ports[" + strconv.Itoa(j) + "]" }
		if number, protocol, ok := f.port(p.Port, p.Protocol, at, "port"); ok {
			ports = append(ports, engine.ServicePort{Name: intern(p.Name), Port: number, Protocol: protocol})
		}
	}
	sortPorts(ports)
	return ports
}
