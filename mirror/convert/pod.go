package convert

import (
	"cmp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Pod converts a Pod. It derives the workloads from the controller's name, because the controller's object is
// not at hand: see [Workloads].
func Pod(p *corev1.Pod) (*engine.Pod, []mirror.Problem) {
	f := problemList{kind: "Pod", namespace: p.Namespace, name: p.Name}
	pod := &engine.Pod{
		Namespace:   intern(p.Namespace),
		Name:        p.Name,
		UID:         string(p.UID),
		Labels:      internLabels(p.Labels),
		Node:        intern(p.Spec.NodeName),
		HostNetwork: p.Spec.HostNetwork,
		Finished:    p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
		IPs: addrs(&f, p.Status.PodIPs, func(x corev1.PodIP) string { return x.IP },
			p.Status.PodIP, "status.podIPs", "status.podIP", ".ip"),
		HostIPs: addrs(&f, p.Status.HostIPs, func(x corev1.HostIP) string { return x.IP },
			p.Status.HostIP, "status.hostIPs", "status.hostIP", ".ip"),
		Ports:        ports(&f, &p.Spec),
		UnnamedPorts: unnamedPorts(&p.Spec),
		Workloads:    Workloads(p.OwnerReferences, p.Labels),
		HostPorts:    hostPorts(&p.Spec),
		// As the API server does, which takes the older field where the newer is absent.
		ServiceAccount: intern(cmp.Or(p.Spec.ServiceAccountName, p.Spec.DeprecatedServiceAccount)),
		SecondaryIPs:   secondaryIPs(p),
	}
	pod.Created = unixSeconds(p.CreationTimestamp)
	return pod, f.list
}

// ports returns the named ports of the containers and of the sidecars, which are init containers that keep
// running (S21).
func ports(f *problemList, spec *corev1.PodSpec) []engine.NamedPort {
	var named []engine.NamedPort
	for i := range spec.Containers {
		named = appendPorts(f, named, spec.Containers[i].Ports, "spec.containers", i)
	}
	for i := range spec.InitContainers {
		if restartsAlways(&spec.InitContainers[i]) {
			named = appendPorts(f, named, spec.InitContainers[i].Ports, "spec.initContainers", i)
		}
	}
	return named
}

// unnamedPorts returns the container ports without a name, of the containers whose named ports count. Wrong
// ones are left out: no verdict depends on them.
func unnamedPorts(spec *corev1.PodSpec) []engine.UnnamedPort {
	var list []engine.UnnamedPort
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			port, ok := portOf(p.ContainerPort)
			protocol, known := protocolOf(p.Protocol)
			if p.Name == "" && ok && known {
				list = append(list, engine.UnnamedPort{Port: port, Protocol: protocol})
			}
		}
	}
	for i := range spec.Containers {
		add(&spec.Containers[i])
	}
	for i := range spec.InitContainers {
		if restartsAlways(&spec.InitContainers[i]) {
			add(&spec.InitContainers[i])
		}
	}
	return list
}

func restartsAlways(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func appendPorts(f *problemList, to []engine.NamedPort, list []corev1.ContainerPort, field string,
	container int) []engine.NamedPort {
	for i, p := range list {
		if p.Name == "" {
			continue
		}
		path := func() string { return field + "[" + strconv.Itoa(container) + "].ports[" + strconv.Itoa(i) + "]" }
		if len(validation.IsValidPortName(p.Name)) > 0 {
			f.portName(p.Name, path()+".name")
		}
		if number, protocol, ok := f.port(p.ContainerPort, p.Protocol, path, "containerPort"); ok {
			to = append(to, engine.NamedPort{Name: intern(p.Name), Port: number, Protocol: protocol})
		}
	}
	return to
}
