package peers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

// netpold is the engine, with the conversion from Kubernetes objects that its mirrors use.
type netpold struct{ cluster *engine.Cluster }

func loadNetpold(o *Objects) (Engine, error) {
	var changes []engine.Change
	var problems []mirror.Problem
	add := func(object engine.Object, found []mirror.Problem) {
		changes = append(changes, engine.Change{Object: object})
		problems = append(problems, found...)
	}
	for _, n := range o.Namespaces {
		add(convert.Namespace(n))
	}
	for _, n := range o.Nodes {
		add(convert.Node(n))
	}
	for _, p := range o.Policies {
		add(convert.Policy(p))
	}
	for _, p := range o.Pods {
		add(convert.Pod(p))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%d problems, the first: %v", len(problems), problems[0])
	}
	n := &netpold{engine.NewCluster(engine.Options{})}
	n.cluster.Apply(changes...)
	return n, nil
}

func (n *netpold) Allowed(q Question) (bool, error) {
	var protocol engine.Protocol
	switch q.Protocol {
	case corev1.ProtocolTCP:
		protocol = engine.TCP
	case corev1.ProtocolUDP:
		protocol = engine.UDP
	case corev1.ProtocolSCTP:
		protocol = engine.SCTP
	}
	s := n.cluster.Snapshot()
	if reason, direct := s.AllowedDirect(q.Src, q.Dst, q.Port, protocol); direct {
		return reason.Allowed(), nil
	}
	d, err := s.Allowed(engine.Query{Src: engine.ByIP(q.Src), Dst: engine.ByIP(q.Dst), Port: q.Port, Protocol: protocol})
	return d.Allowed, err
}

func (n *netpold) SetPod(p *corev1.Pod) error {
	pod, problems := convert.Pod(p)
	if len(problems) > 0 {
		return fmt.Errorf("%v", problems[0])
	}
	n.cluster.Apply(engine.Change{Object: pod})
	return nil
}
