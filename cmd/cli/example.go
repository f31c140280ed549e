package cli

import (
	"cmp"
	"context"
	"slices"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Limits of the search for examples in a large cluster.
const (
	maxExampleSources = 200
	maxExampleTargets = 100
)

// An example is a question and its answer.
type example struct {
	question *netpoldv1.AllowedRequest
	answer   *netpoldv1.AllowedResponse
}

// findExamples returns a question that policies allow and one that they deny, if possible about one port of
// one workload. It searches in order of name. Either may be nil. asker gives the answers.
func findExamples(ctx context.Context, snapshot *engine.Snapshot, asker asker) (allowed, denied *example) {
	sources, targets := exampleEnds(snapshot)
	for _, target := range targets {
		yes, no := examplesOf(ctx, asker, sources, target)
		if no != nil && yes.rules() == 2 {
			return yes, no
		}
		if yes.rules() > allowed.rules() {
			allowed = yes
		}
		denied = cmp.Or(denied, no)
	}
	return allowed, denied
}

// An exampleTarget is a port that Pods declare.
type exampleTarget struct {
	group *engine.PodGroup
	port  engine.NamedPort
}

// examplesOf asks each source about one target.
func examplesOf(ctx context.Context, asker asker, sources []engine.PodGroup,
	target exampleTarget) (allowed, denied *example) {
	for i := range sources {
		source := &sources[i]
		if source.Endpoint == target.group.Endpoint {
			continue
		}
		e := askExample(ctx, asker, source, target)
		switch {
		case e == nil:
		case e.answer.GetAllowed() && e.rules() > allowed.rules():
			allowed = e
		case !e.answer.GetAllowed() && (denied == nil || source.Namespace == target.group.Namespace):
			denied = e // a source in the same namespace shows more
		}
	}
	return allowed, denied
}

// rules returns the number of sides that a rule allowed. An answer with two shows most.
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

// askExample asks whether source may reach target. It returns nil if there is no answer.
func askExample(ctx context.Context, asker asker, source *engine.PodGroup, target exampleTarget) *example {
	question := &netpoldv1.AllowedRequest{
		Src: groupEndpoint(source), Dst: groupEndpoint(target.group), Port: uint32(target.port.Port), Details: true,
	}
	if target.port.Protocol != engine.TCP { // TCP is the default and needs no word
		question.Protocol = protocols[target.port.Protocol]
	}
	answer, err := asker.Allowed(ctx, question)
	if err != nil {
		return nil
	}
	return &example{question: question, answer: answer}
}

// groupEndpoint returns a workload or a Pod as an endpoint.
func groupEndpoint(g *engine.PodGroup) *netpoldv1.Endpoint {
	if g.Pod != "" {
		return netpold.Pod(g.Namespace, g.Pod)
	}
	return netpold.Workload(g.Namespace, g.Workload.Kind, g.Workload.Name)
}

// exampleEnds returns sources, and as targets their named ports or, if there are none, the first port of a
// Service.
func exampleEnds(snapshot *engine.Snapshot) (sources []engine.PodGroup, targets []exampleTarget) {
	groups := slices.DeleteFunc(snapshot.PodGroups(), func(g engine.PodGroup) bool { return g.HostNetwork })
	for i := range groups {
		for _, port := range groups[i].Ports {
			targets = append(targets, exampleTarget{&groups[i], port})
		}
	}
	if len(targets) == 0 {
		port := engine.NamedPort{Port: 80}
		for _, s := range snapshot.AllServices() {
			if len(s.Ports) > 0 {
				port = engine.NamedPort(s.Ports[0])
				break
			}
		}
		for i := range groups {
			targets = append(targets, exampleTarget{&groups[i], port})
		}
	}
	return groups[:min(len(groups), maxExampleSources)], targets[:min(len(targets), maxExampleTargets)]
}
