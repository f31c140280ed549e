package cli

import (
	"cmp"
	"context"
	"slices"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The search for examples looks at no more than this much of a large cluster.
const (
	maxExampleSources = 200
	maxExampleTargets = 100
)

// example is a question and its answer.
type example struct {
	source   *engine.Pod
	target   exampleTarget
	question *netpoldv1.AllowedRequest
	answer   *netpoldv1.AllowedResponse
}

// exampleTarget is a port that a Pod says it listens on.
type exampleTarget struct {
	pod      *engine.Pod
	port     uint16
	protocol netpoldv1.Protocol
}

// findExamples finds, in order of name, a question that policies allow and one that they deny, about one port of one Pod if it can.
// Either may be nil. The answers are those that asker gives.
func findExamples(ctx context.Context, objects []engine.Object, asker asker) (allowed, denied *example) {
	sources, targets := exampleEnds(objects)
	for _, target := range targets {
		yes, no := examplesOf(ctx, asker, sources, target)
		if no != nil && yes.rules() == 2 {
			allowed, denied = yes, no
			break
		}
		if yes.rules() > allowed.rules() {
			allowed = yes
		}
		denied = cmp.Or(denied, no)
	}
	return allowed.ofWorkloads(ctx, asker), denied.ofWorkloads(ctx, asker)
}

// ofWorkloads asks the same of the Pods' workloads, whose names are shorter and outlive the Pods'; it keeps the example where
// that has another answer.
func (e *example) ofWorkloads(ctx context.Context, asker asker) *example {
	if e == nil {
		return nil
	}
	wider := askExample(ctx, asker, e.source, e.target, workloadEnd)
	if wider == nil || wider.answer.GetAllowed() != e.answer.GetAllowed() || wider.answer.GetReason() != e.answer.GetReason() {
		return e
	}
	return wider
}

// examplesOf asks each source about one target.
func examplesOf(ctx context.Context, asker asker, sources []*engine.Pod, target exampleTarget) (allowed, denied *example) {
	var refused []*example
	for _, source := range sources {
		if source == target.pod {
			continue
		}
		switch e := askExample(ctx, asker, source, target, podEnd); {
		case e == nil:
		case !e.answer.GetAllowed():
			refused = append(refused, e)
		case e.rules() > allowed.rules():
			allowed = e
		}
	}
	// A neighbour of the one that is allowed shows more than a stranger.
	for _, e := range refused {
		if allowed != nil && e.source.Namespace == allowed.source.Namespace {
			return allowed, e
		}
	}
	if len(refused) > 0 {
		denied = refused[0]
	}
	return allowed, denied
}

// rules counts the sides that a rule allowed: an answer of two shows most.
func (e *example) rules() int {
	if e == nil {
		return -1
	}
	n := 0
	for _, side := range []*netpoldv1.Side{e.answer.GetEgress(), e.answer.GetIngress()} {
		if side.GetAllowed() && side.GetPolicy() != "" {
			n++
		}
	}
	return n
}

// askExample is nil where there is no answer.
func askExample(
	ctx context.Context, asker asker, source *engine.Pod, target exampleTarget, end func(*engine.Pod) *netpoldv1.Endpoint,
) *example {
	question := &netpoldv1.AllowedRequest{
		Src: end(source), Dst: end(target.pod), Port: uint32(target.port), Protocol: target.protocol, Details: true,
	}
	answer, err := asker.Allowed(ctx, question)
	if err != nil {
		return nil
	}
	return &example{source: source, target: target, question: question, answer: answer}
}

func podEnd(pod *engine.Pod) *netpoldv1.Endpoint { return netpold.Pod(pod.Namespace, pod.Name) }

// workloadEnd is the Pod's workload, or the Pod where it has none.
func workloadEnd(pod *engine.Pod) *netpoldv1.Endpoint {
	if n := len(pod.Workloads); n > 0 {
		w := pod.Workloads[n-1]
		return netpold.Workload(pod.Namespace, w.Kind, w.Name)
	}
	return podEnd(pod)
}

// exampleEnds are the Pods to ask about, one of each workload, and their named ports; where there are none, the ports of Services.
func exampleEnds(objects []engine.Object) (sources []*engine.Pod, targets []exampleTarget) {
	var pods []*engine.Pod
	var servicePorts []engine.ServicePort
	for _, object := range objects {
		switch o := object.(type) {
		case *engine.Pod:
			if !o.Finished && !o.HostNetwork {
				pods = append(pods, o)
			}
		case *engine.Service:
			servicePorts = append(servicePorts, o.Ports...)
		}
	}
	slices.SortFunc(pods, func(a, b *engine.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	pods = oneOfEach(pods)
	for _, pod := range pods {
		for _, port := range pod.Ports {
			targets = append(targets, exampleTarget{pod: pod, port: port.Port, protocol: protoProtocol(port.Protocol)})
		}
	}
	if len(targets) == 0 {
		port := exampleTarget{port: 80, protocol: netpoldv1.Protocol_PROTOCOL_UNSPECIFIED}
		if len(servicePorts) > 0 {
			port = exampleTarget{port: servicePorts[0].Port, protocol: protoProtocol(servicePorts[0].Protocol)}
		}
		for _, pod := range pods {
			targets = append(targets, exampleTarget{pod: pod, port: port.port, protocol: port.protocol})
		}
	}
	return pods[:min(len(pods), maxExampleSources)], targets[:min(len(targets), maxExampleTargets)]
}

// oneOfEach keeps the first Pod of each workload.
func oneOfEach(pods []*engine.Pod) []*engine.Pod {
	type owner struct {
		namespace string
		workload  engine.Workload
	}
	seen := map[owner]bool{}
	return slices.DeleteFunc(pods, func(pod *engine.Pod) bool {
		if len(pod.Workloads) == 0 {
			return false
		}
		o := owner{pod.Namespace, pod.Workloads[len(pod.Workloads)-1]}
		defer func() { seen[o] = true }()
		return seen[o]
	})
}

func protoProtocol(p engine.Protocol) netpoldv1.Protocol {
	switch p {
	case engine.UDP:
		return netpoldv1.Protocol_PROTOCOL_UDP
	case engine.SCTP:
		return netpoldv1.Protocol_PROTOCOL_SCTP
	default:
		return netpoldv1.Protocol_PROTOCOL_UNSPECIFIED // TCP, in fewer words
	}
}
