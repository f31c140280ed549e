package convert

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// Pod converts a Pod. Its workloads are what its controller's name tells, without the controller: see [Workloads].
func Pod(p *corev1.Pod) (*engine.Pod, []mirror.Problem) {
	f := findings{kind: "Pod", namespace: p.Namespace, name: p.Name}
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
		Workloads:    Workloads(p.OwnerReferences, p.Labels),
		HostPorts:    hostPorts(&p.Spec),
		SecondaryIPs: secondaryIPs(p),
	}
	if !p.CreationTimestamp.IsZero() {
		pod.Created = p.CreationTimestamp.Unix()
	}
	return pod, f.list
}

// ports are the named ports of the containers, and of the init containers that go on beside them (S21).
func ports(f *findings, spec *corev1.PodSpec) []engine.NamedPort {
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

func restartsAlways(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func appendPorts(f *findings, to []engine.NamedPort, list []corev1.ContainerPort, field string, container int) []engine.NamedPort {
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

// TargetPort is where a Service's port leads on a Pod with these named ports, in the order of [engine.Pod]: the number of
// targetPort, the port itself where that is left out, or the first port of that name and protocol. False where there is none.
func TargetPort(p *corev1.ServicePort, named []engine.NamedPort) (uint16, bool) {
	protocol, ok := protocolOf(p.Protocol)
	if !ok {
		return 0, false
	}
	if p.TargetPort.Type == intstr.String && p.TargetPort.StrVal != "" {
		for _, n := range named {
			if n.Name == p.TargetPort.StrVal && n.Protocol == protocol {
				return n.Port, true
			}
		}
		return 0, false
	}
	if p.TargetPort.IntVal != 0 {
		return portOf(p.TargetPort.IntVal)
	}
	return portOf(p.Port)
}
