package peers

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/bench/synthetic"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/convert/converttest"
)

// NewQuestions are n questions about a cluster, the same for every run: of ten, six between any two Pods, two between Pods of
// one namespace, one from an outsider and one to an outsider. A Pod is not asked about itself, nor about its Node: what
// peers are known to answer differently (see [Differences]) is not timed.
func NewQuestions(c *synthetic.Cluster, n int) []Question {
	rng := rand.New(rand.NewPCG(7, 7))
	neighbours := map[string][]*engine.Pod{}
	for _, p := range c.Pods {
		neighbours[p.Namespace] = append(neighbours[p.Namespace], p)
	}
	pod := func(of []*engine.Pod) *engine.Pod { return of[rng.IntN(len(of))] }
	// The ranges of bench/synthetic.
	outsider := func() netip.Addr {
		return netip.AddrFrom4([4]byte{203, byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
	}
	list := make([]Question, 0, n)
	for len(list) < n {
		src, dst := pod(c.Pods), pod(c.Pods)
		q := Question{Src: src.IPs[0], Dst: dst.IPs[0], Port: []uint16{8080, 8080, 8080, 8080, 9090, 9090, 8443, 5432}[rng.IntN(8)], Protocol: corev1.ProtocolTCP}
		if rng.IntN(10) == 0 {
			q.Protocol = corev1.ProtocolUDP
		}
		switch rng.IntN(10) {
		case 0, 1:
			q.Src = pod(neighbours[dst.Namespace]).IPs[0]
		case 2:
			q.Src = outsider()
		case 3:
			q.Dst, q.Port = outsider(), 443
		}
		if q.Src != q.Dst {
			list = append(list, q)
		}
	}
	return list
}

// Change is a Pod before and after its labels change, and a question to which the answer changes with them.
type Change struct {
	Before, After *corev1.Pod
	Question      Question
	// Was is the answer before; after, it is the other.
	Was bool
}

// NewChanges are n changes of labels, found by asking netpold.
func NewChanges(c *synthetic.Cluster, n int) ([]Change, error) {
	held := engine.NewCluster(engine.Options{})
	held.Apply(c.Changes()...)
	asked := &netpold{held}
	pods := map[netip.Addr]*engine.Pod{}
	for _, p := range c.Pods {
		pods[p.IPs[0]] = p
	}
	var list []Change
	used := map[*engine.Pod]bool{}
	for _, q := range NewQuestions(c, 1<<14) {
		p := pods[q.Dst]
		if p == nil || used[p] {
			continue
		}
		was, err := asked.Allowed(q)
		if err != nil {
			return nil, err
		}
		change := Change{Before: converttest.Pod(p), After: converttest.Pod(p), Question: q, Was: was}
		change.After.Labels = map[string]string{"app.kubernetes.io/name": "nobody"}
		after, _ := convert.Pod(change.After)
		held.Apply(engine.Change{Object: after})
		is, err := asked.Allowed(q)
		if err != nil {
			return nil, err
		}
		held.Apply(engine.Change{Object: p})
		if is == was {
			continue
		}
		used[p] = true
		if list = append(list, change); len(list) == n {
			return list, nil
		}
	}
	return nil, fmt.Errorf("of the questions asked, only %d answers change with a Pod's labels, not %d", len(list), n)
}

// there changes the Pod and tells how long it took until a decision counted it, with that decision.
func (c *Change) there(e Engine) (time.Duration, error) { return c.set(e, c.After, !c.Was) }

// back undoes it.
func (c *Change) back(e Engine) (time.Duration, error) { return c.set(e, c.Before, c.Was) }

func (c *Change) set(e Engine, p *corev1.Pod, want bool) (time.Duration, error) {
	start := time.Now()
	if err := e.SetPod(p); err != nil {
		return 0, err
	}
	got, err := e.Allowed(c.Question)
	took := time.Since(start)
	if err == nil && got != want {
		err = fmt.Errorf("%v is answered %t after a change of Pod %s/%s that makes it %t", c.Question, got, p.Namespace, p.Name, want)
	}
	return took, err
}
