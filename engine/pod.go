package engine

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// maxUnusedKeys is how many label keys that no selector mentions any more still tell classes apart. Keeping a few saves the
// work of merging and dividing classes again when a policy is replaced.
const maxUnusedKeys = 16

// noClass is the class of host-network and finished Pods.
const noClass = ^uint32(0)

// pod is a Pod as the state holds it. It is immutable but for the transaction that made it.
type pod struct {
	namespace, name string
	uid             string
	created         int64
	node            unique.Handle[string] // zero while not scheduled
	class           uint32
	host, finished  bool
	ips             []netip.Addr
	hostIPs         []netip.Addr
	labels          []label
	ports           []NamedPort
	workloads       []Workload
}

// ordinary reports whether policies can apply to the Pod (S1, S4, S6).
func (p *pod) ordinary() bool { return !p.host && !p.finished }

func (p *pod) key() nameKey { return nameKey{p.namespace, p.name} }

// newer orders Pods that claim an address (S7); the name is a last resort that makes the order total.
func (p *pod) newer(o *pod) bool {
	return cmp.Or(cmp.Compare(p.created, o.created), cmp.Compare(p.uid, o.uid), p.key().compare(o.key())) > 0
}

// workload is the Pods of a workload by name, finished ones among them.
type workload struct {
	owner *persist.Edit
	pods  persist.Map[string, struct{}]
}

type workloadKey struct{ namespace, kind, name string }

func newPod(o *Pod) *pod {
	p := &pod{
		namespace: o.Namespace, name: o.Name, uid: o.UID, created: o.Created, class: noClass,
		host: o.HostNetwork, finished: o.Finished, labels: sortedLabels(o.Labels), workloads: o.Workloads,
	}
	if o.Node != "" {
		p.node = unique.Make(o.Node)
	}
	if !o.Finished {
		p.ips, p.hostIPs = addresses(o.IPs), addresses(o.HostIPs)
	}
	if p.ordinary() {
		p.ports = sortedPorts(o.Ports)
	}
	return p
}

// addresses drops repetitions and what is no address.
func addresses(ips []netip.Addr) []netip.Addr {
	if len(ips) == 0 {
		return nil
	}
	list := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.IsValid() && !slices.Contains(list, ip) {
			list = append(list, ip)
		}
	}
	return list
}

func (t *txn) applyPod(o *Pod, gone bool) {
	old := t.pod(o.Namespace, o.Name)
	if gone {
		if old == nil {
			return
		}
		t.removePod(old)
		t.aside.setPod(t.edit, old.key(), nil)
		ns := t.ensureNamespace(o.Namespace)
		ns.pods.Delete(t.edit, o.Name)
		t.forgetNamespace(o.Namespace, ns)
		return
	}
	p := newPod(o)
	t.aside.setPod(t.edit, p.key(), newPodAside(o))
	t.ensureNamespace(o.Namespace) // before the old one goes, so that the namespace stays
	if old != nil {
		p.class = old.class // kept until the end, so that a class that stays is not made again
		t.unclaimAddresses(old)
		t.leaveWorkloads(old)
	}
	if (old == nil || old.finished) != p.finished {
		t.counts.Pods += map[bool]int{true: -1, false: 1}[p.finished]
	}
	t.storePod(p)
	t.claimAddresses(p)
	for _, w := range p.workloads {
		t.ensureWorkload(p.namespace, w).pods.Set(t.edit, p.name, struct{}{})
	}
	t.unclassed[p.key()] = struct{}{}
}

func (t *txn) removePod(old *pod) {
	t.unclaimAddresses(old)
	t.leaveWorkloads(old)
	if old.class != noClass {
		t.releaseClass(old.class)
	}
	if !old.finished {
		t.counts.Pods--
	}
	delete(t.unclassed, old.key())
}

func (t *txn) storePod(p *pod) {
	ns := t.ensureNamespace(p.namespace)
	ns.pods.Set(t.edit, p.name, p)
}

func (t *txn) ensureWorkload(namespace string, w Workload) *workload {
	key := workloadKey{namespace, w.Kind, w.Name}
	old, ok := t.workloads.Get(key)
	switch {
	case !ok:
		old = &workload{owner: t.edit, pods: persist.NewMap[string, struct{}](persist.HashOf[string]())}
	case old.owner == t.edit:
		return old
	default:
		fresh := *old
		fresh.owner, old = t.edit, &fresh
	}
	t.workloads.Set(t.edit, key, old)
	return old
}

func (t *txn) leaveWorkloads(p *pod) {
	for _, w := range p.workloads {
		all := t.ensureWorkload(p.namespace, w)
		if all.pods.Delete(t.edit, p.name); all.pods.Len() == 0 {
			t.workloads.Delete(t.edit, workloadKey{p.namespace, w.Kind, w.Name})
		}
	}
}

// claimAddresses makes the Pod a claimant of its addresses, and its Node of the Node's.
func (t *txn) claimAddresses(p *pod) {
	for _, ip := range p.ips {
		t.addClaim(ip, claim{pod: p})
	}
	if p.node == (unique.Handle[string]{}) || len(p.hostIPs) == 0 {
		return
	}
	n := t.ensureNode(p.node.Value())
	n.hostIPs = maps.Clone(n.hostIPs)
	if n.hostIPs == nil {
		n.hostIPs = map[netip.Addr]int{}
	}
	for _, ip := range p.hostIPs {
		if n.hostIPs[ip]++; n.hostIPs[ip] == 1 {
			t.addClaim(ip, claim{node: n.handle})
		}
	}
}

// unclaimAddresses undoes addClaims.
func (t *txn) unclaimAddresses(p *pod) {
	for _, ip := range p.ips {
		t.removeClaim(ip, claim{pod: p})
	}
	if p.node == (unique.Handle[string]{}) || len(p.hostIPs) == 0 {
		return
	}
	n := t.ensureNode(p.node.Value())
	n.hostIPs = maps.Clone(n.hostIPs)
	for _, ip := range p.hostIPs {
		if n.hostIPs[ip]--; n.hostIPs[ip] == 0 {
			delete(n.hostIPs, ip)
			t.removeClaim(ip, claim{node: n.handle})
		}
	}
	t.forgetNode(p.node.Value(), n)
}

// relevantLabels returns the labels of p that some selector mentions. The slice is reused by the next call.
func (t *txn) relevantLabels(p *pod) []label {
	t.scratch = t.scratch[:0]
	for _, l := range p.labels {
		if t.keys.Find(scopedKey{"", l.key}) != nil || t.keys.Find(scopedKey{p.namespace, l.key}) != nil {
			t.scratch = append(t.scratch, l)
		}
	}
	return t.scratch
}

// reclassify gives every Pod that is new or changed, or has a label whose key came into or went out of use, its class.
func (t *txn) reclassify() {
	for _, p := range t.podsWithChangedKeys() {
		t.classify(p)
	}
	for key := range t.unclassed {
		t.classify(t.pod(key.namespace, key.name))
	}
}

// podsWithChangedKeys returns the Pods that have a label whose key came into or went out of use, each once.
func (t *txn) podsWithChangedKeys() (pods []*pod) {
	scopes := map[string][]string{}
	for k := range t.changedKeys {
		scopes[k.scope] = append(scopes[k.scope], k.key)
	}
	everywhere := scopes[""]
	collect := func(ns *namespace, keys []string) {
		for _, p := range ns.pods.All() {
			if slices.ContainsFunc(p.labels, func(l label) bool { return slices.Contains(keys, l.key) }) {
				pods = append(pods, p)
			}
		}
	}
	if len(everywhere) > 0 {
		for name, ns := range t.namespaces.All() {
			collect(ns, slices.Concat(everywhere, scopes[name]))
		}
		return pods
	}
	for name, keys := range scopes {
		if ns, ok := t.namespaces.Get(name); ok {
			collect(ns, keys)
		}
	}
	return pods
}

func (t *txn) classify(p *pod) {
	class := noClass
	if p.ordinary() {
		class = t.acquireClass(p.namespace, t.relevantLabels(p), p.ports)
	}
	if p.class != noClass {
		t.releaseClass(p.class)
	}
	if p.class == class {
		return
	}
	fresh := *p
	fresh.class = class
	t.storePod(&fresh)
	for _, ip := range fresh.ips {
		t.replaceClaim(ip, p, &fresh)
	}
}

// useKeys counts the label keys that a selector mentions.
func (t *txn) useKeys(s *selector) {
	for _, r := range s.pods {
		k := scopedKey{s.scope, r.Key}
		uses, ok := t.keys.Get(k)
		if !ok {
			t.changedKeys[k] = struct{}{}
		} else if uses == 0 {
			t.unusedKeys--
		}
		t.keys.Set(t.edit, k, uses+1)
	}
}

// disuseKeys undoes useKeys.
func (t *txn) disuseKeys(s *selector) {
	for _, r := range s.pods {
		k := scopedKey{s.scope, r.Key}
		uses, _ := t.keys.Get(k)
		if uses == 1 {
			t.unusedKeys++
		}
		t.keys.Set(t.edit, k, uses-1)
	}
}

// retireKeys forgets the unused keys once they are many.
func (t *txn) retireKeys() {
	if t.unusedKeys <= maxUnusedKeys {
		return
	}
	var unused []scopedKey
	for k, uses := range t.keys.All() {
		if uses == 0 {
			unused = append(unused, k)
		}
	}
	for _, k := range unused {
		t.keys.Delete(t.edit, k)
		t.changedKeys[k] = struct{}{}
	}
	t.unusedKeys = 0
}
