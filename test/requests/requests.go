// Package requests writes the random questions of enginetest as requests, for tests that ask servers.
package requests

import (
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Of returns a random question as requests have it. An end is nil where the question has none.
func Of(q enginetest.Question) *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src: end(q.Src), Dst: end(q.Dst), Port: uint32(q.Port),
		Protocol: protocol(q.Protocol),
	}
}

func end(e enginetest.Endpoint) *netpoldv1.Endpoint {
	switch {
	case e.IP.IsValid():
		return netpold.IP(e.IP.String())
	case e.Pod != nil:
		return netpold.Pod(e.Pod.Namespace, e.Pod.Name)
	case e.Workload != nil:
		return netpold.Workload(e.Workload.Namespace, e.Workload.Kind, e.Workload.Name)
	case e.Service != nil:
		return netpold.Service(e.Service.Namespace, e.Service.Name)
	case e.Labels != nil:
		pod := &netpoldv1.LabelledPod{Namespace: e.Labels.Namespace, Labels: e.Labels.Labels}
		for _, p := range e.Labels.Ports {
			pod.NamedPorts = append(pod.NamedPorts, &netpoldv1.NamedPort{
				Name: p.Name, Port: uint32(p.Port), Protocol: protocol(p.Protocol),
			})
		}
		if e.Labels.IP.IsValid() {
			pod.Ip = e.Labels.IP.String()
		}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: pod}}
	}
	return nil
}

// protocol returns a protocol as requests have it, which have one more: the unspecified one is the first.
func protocol(p engine.Protocol) netpoldv1.Protocol { return netpoldv1.Protocol(p) + 1 }
