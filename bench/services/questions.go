package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	policyv1 "github.com/cerbos/cerbos/api/genpb/cerbos/policy/v1"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/engine"
)

// ports are those that questions ask about. Services that know relations alone keep one relation for each.
var ports = []uint16{5432, 8080, 8443, 9090}

// A question asks whether one Pod may connect to a TCP port of another.
type question struct {
	src, dst *pod
	port     uint16
	// want is netpold's engine's answer.
	want bool
}

// newQuestions are n questions about a cluster, the same for every run. Every other one is allowed, as most of what
// happens in a cluster is. Of the rest half are between any two Pods, and half between two of one namespace.
func (m *model) newQuestions(n int) ([]question, error) {
	asked := m.engine()
	rng := rand.New(rand.NewPCG(14, 4))
	near := m.byNamespace()
	list := make([]question, 0, n)
	for len(list) < n {
		q, err := m.newQuestion(rng, asked, near, m.pods[rng.IntN(len(m.pods))])
		if err != nil {
			return nil, err
		}
		if len(list)%2 == 0 || q.want {
			list = append(list, q)
		}
	}
	return list, nil
}

// newBatches are n lists of size questions, each from one source: Cerbos has one principal for each call.
func (m *model) newBatches(n, size int) ([][]question, error) {
	asked := m.engine()
	rng := rand.New(rand.NewPCG(14, 5))
	near := m.byNamespace()
	lists := make([][]question, n)
	for i := range lists {
		src := m.pods[rng.IntN(len(m.pods))]
		for tries := 0; len(lists[i]) < size; tries++ {
			q, err := m.newQuestion(rng, asked, near, src)
			if err != nil {
				return nil, err
			}
			// Few Pods reach nothing at all.
			if len(lists[i])%2 == 0 || q.want || tries > 100*size {
				lists[i] = append(lists[i], q)
			}
		}
	}
	return lists, nil
}

// newQuestion asks from a source to a Pod of the same namespace or to any.
func (m *model) newQuestion(
	rng *rand.Rand, asked *engine.Snapshot, near map[string][]*pod, src *pod,
) (question, error) {
	from := m.pods
	if rng.IntN(2) == 0 && len(near[src.Namespace]) > 1 {
		from = near[src.Namespace]
	}
	q := question{src: src, dst: src, port: ports[rng.IntN(len(ports))]}
	for q.dst == src { // a Pod may always reach itself, which no service is told
		q.dst = from[rng.IntN(len(from))]
	}
	var err error
	q.want, err = answer(asked, q)
	return q, err
}

func (m *model) byNamespace() map[string][]*pod {
	near := map[string][]*pod{}
	for _, p := range m.pods {
		near[p.Namespace] = append(near[p.Namespace], p)
	}
	return near
}

// engine is netpold's, with the cluster and more policies.
func (m *model) engine(more ...*engine.Policy) *engine.Snapshot {
	changes := m.cluster.Changes()
	for _, p := range more {
		changes = append(changes, engine.Change{Object: p})
	}
	return engine.NewCluster(engine.Options{}).Apply(changes...)
}

func answer(asked *engine.Snapshot, q question) (bool, error) {
	d, err := asked.Allowed(engine.Query{Src: engine.ByIP(q.src.IPs[0]), Dst: engine.ByIP(q.dst.IPs[0]), Port: q.port})
	return d.Allowed, err
}

// A change is a policy that comes and goes, and a question that is allowed only while it is there.
type change struct {
	policy   *engine.Policy
	question question
	// tuples, patch and policies are what is written, in each service's terms: [0] to take the change back, [1] to make
	// it.
	tuples   [2]tupleChange
	patch    [2][]byte
	policies [2]map[string]*policyv1.Policy
}

// which is the index of what makes a change, or takes it back.
func which(forth bool) int {
	if forth {
		return 1
	}
	return 0
}

// newChange finds a question that is denied at ingress alone, and a policy that allows it between two applications.
func (m *model) newChange() (*change, error) {
	questions, err := m.newQuestions(1 << 14)
	if err != nil {
		return nil, err
	}
	const name = "app.kubernetes.io/name"
	for _, q := range questions {
		if q.want || q.src.Labels[name] == q.dst.Labels[name] {
			continue
		}
		app := func(p *pod) engine.Selector {
			return engine.Selector{{Key: name, Operator: engine.In, Values: []string{p.Labels[name]}}}
		}
		theirs, peer := namespaceNamed(q.src.Namespace), app(q.src)
		policy := &engine.Policy{
			Namespace: q.dst.Namespace, Name: "comes-and-goes", Subject: app(q.dst), IsolatesIngress: true,
			Ingress: []engine.Rule{{
				Peers: []engine.Peer{{Namespaces: &theirs, Pods: &peer}},
				Ports: []engine.Port{{First: q.port, Last: q.port}},
			}},
		}
		allowed, err := answer(m.engine(policy), q)
		if err != nil {
			return nil, err
		}
		if !allowed || !q.dst.ingress.isolated {
			continue
		}
		after, err := newModel(m.cluster, policy)
		if err != nil {
			return nil, err
		}
		c := &change{policy: policy, question: q}
		return c, c.write(m, after)
	}
	return nil, errors.New("no question of this cluster is denied at ingress alone")
}

// write writes a change from one model to another in each service's terms, ahead: that time is the controller's.
func (c *change) write(before, after *model) (err error) {
	c.tuples[1] = tuplesBetween(before, after)
	c.tuples[0] = tupleChange{added: c.tuples[1].removed, removed: c.tuples[1].added}
	was, is := before.document(), after.document()
	if c.patch[0], err = json.Marshal(patches(is, was)); err != nil {
		return err
	}
	if c.patch[1], err = json.Marshal(patches(was, is)); err != nil {
		return err
	}
	if c.policies[0], err = before.cerbosPolicies(); err != nil {
		return err
	}
	if c.policies[1], err = after.cerbosPolicies(); err != nil {
		return err
	}
	for name, p := range c.policies[0] {
		if proto.Equal(p, c.policies[1][name]) {
			delete(c.policies[0], name)
			delete(c.policies[1], name)
		}
	}
	return nil
}

func (q question) String() string {
	return fmt.Sprintf("%s to %s port %d", q.src.id, q.dst.id, q.port)
}
