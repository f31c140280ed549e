package engine

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"unique"

	"github.com/netpold/netpold/engine/internal/persist"
)

// maxUnusedKeys is the number of label keys that go on dividing classes although no selector mentions them
// any more. Keeping a few saves the work of merging and dividing classes when a policy is replaced.
const maxUnusedKeys = 16

// noClass is the id of no class. Host-network and finished Pods have it (S4, S6), and Nodes while no rule
// asks for them.
const noClass = ^uint32(0)

// A pod is a Pod as the state holds it. A change of the Pod, or of its class, makes a new record. So a
// record's address is the identity of one version, and a [ReadSet] compares nothing more of a Pod. It is
// immutable once stored.
type pod struct {
	namespace, name string
	uid             string
	created         int64                 // in Unix seconds (S7)
	node            unique.Handle[string] // zero while not scheduled
	class           uint32                // noClass if policies cannot apply
	host, finished  bool
	ips             []netip.Addr // what it reports; another Pod may own them (S7); none once finished
	hostIPs         []netip.Addr // of its Node (S5)
	*podTemplate
}

// ordinary reports whether policies can apply to the Pod (S1, S4, S6).
func (p *pod) ordinary() bool { return !p.host && !p.finished }

// key returns the namespace and the name.
func (p *pod) key() nameKey { return nameKey{p.namespace, p.name} }

// newer reports whether p is newer than o, so that p owns an address that both report (S7). The name makes
// the order total; real Pods differ in uid already.
func (p *pod) newer(o *pod) bool {
	return cmp.Or(cmp.Compare(p.created, o.created), cmp.Compare(p.uid, o.uid), p.key().compare(o.key())) > 0
}

// A workload is the set of a workload's Pods by name, finished ones among them. It exists while it has a Pod,
// and may be written only under the edit that owns it.
type workload struct {
	owner *persist.Edit
	pods  persist.Map[string, struct{}]
}

// A workloadKey names a workload.
type workloadKey struct{ namespace, kind, name string }

// newPod returns the record of a Pod, without its class. A finished Pod has no addresses in it (S6).
func newPod(o *Pod) *pod {
	p := &pod{
		namespace: o.Namespace, name: o.Name, uid: o.UID, created: o.Created, class: noClass,
		host: o.HostNetwork, finished: o.Finished,
	}
	if o.Node != "" {
		p.node = unique.Make(o.Node)
	}
	if !o.Finished {
		p.ips, p.hostIPs = addresses(o.IPs), addresses(o.HostIPs)
	}
	p.podTemplate = newPodTemplate(o, p.ordinary())
	return p
}

// addresses returns ips unmapped (S9), each once, without invalid ones. The order stays.
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

// applyPod stores a Pod or takes it away: its record, its claims to addresses, and its places in workloads.
// Its class follows at the end of the batch.
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
	t.shareTemplate(p, old)
	t.aside.setPod(t.edit, p.key(), newPodAside(o))
	t.ensureNamespace(o.Namespace) // before the old one goes, so that the namespace stays
	if old != nil {
		p.class = old.class // until the end, so that a class that stays is not made again
		t.unclaimAddresses(old)
		t.leaveWorkloads(old)
	}
	// Counts has the Pods that have not finished.
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

// removePod undoes what applyPod did for a record, except the record itself.
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

// storePod makes p the record of its name.
func (t *txn) storePod(p *pod) {
	ns := t.ensureNamespace(p.namespace)
	ns.pods.Set(t.edit, p.name, p)
}

// ensureWorkload returns a workload for writing. It makes an empty one if there is none.
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

// leaveWorkloads takes a Pod out of its workloads, and deletes those that become empty.
func (t *txn) leaveWorkloads(p *pod) {
	for _, w := range p.workloads {
		all := t.ensureWorkload(p.namespace, w)
		if all.pods.Delete(t.edit, p.name); all.pods.Len() == 0 {
			t.workloads.Delete(t.edit, workloadKey{p.namespace, w.Kind, w.Name})
		}
	}
}

// claimAddresses adds the claims of a new record to the Pod's own addresses, and its Node's to the addresses that
// the Pod reports as the Node's (S5). The Node claims each of these once, however many Pods report it. Pods of a
// Node that report the same share the list.
func (t *txn) claimAddresses(p *pod) {
	for _, ip := range p.ips {
		t.addClaim(ip, claim{pod: p})
	}
	if p.node == (unique.Handle[string]{}) || len(p.hostIPs) == 0 {
		return
	}
	n := t.ensureNode(p.node.Value())
	if slices.Equal(n.lastHostIPs, p.hostIPs) {
		p.hostIPs = n.lastHostIPs
	}
	n.lastHostIPs = p.hostIPs
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

// unclaimAddresses undoes claimAddresses. p must be the very record whose addresses were claimed.
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

// relevantLabels returns the labels of p whose keys some selector of its namespace or of the whole cluster
// mentions, in order. The slice is reused by the next call.
func (t *txn) relevantLabels(p *pod) []label {
	t.scratch = t.scratch[:0]
	for _, l := range p.labels {
		if t.keys.Find(scopedKey{"", l.key}) != nil || t.keys.Find(scopedKey{p.namespace, l.key}) != nil {
			t.scratch = append(t.scratch, l)
		}
	}
	return t.scratch
}

// reclassify gives a class to every Pod that is new or changed, or has a label whose key came into or went
// out of use.
func (t *txn) reclassify() {
	for _, p := range t.podsWithChangedKeys() {
		t.classify(p)
	}
	for key := range t.unclassed {
		t.classify(t.pod(key.namespace, key.name))
	}
}

// podsWithChangedKeys returns the Pods that have a label whose key came into or went out of use, each once,
// in no particular order. It looks at all Pods of the scopes concerned, which is the whole cluster for a
// cluster-wide key.
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

// classify gives a Pod the class of its present labels. The new class is acquired before the old one is
// released, so that a class that stays is not made again. A Pod whose class changes gets a new record, and so
// do its claims.
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

// useKeys counts the label keys that the Pod part of a new selector mentions. Keys of namespaces do not
// divide classes, as all Pods of a class are in one namespace.
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

// disuseKeys undoes useKeys. A key with no use left still divides classes until retireKeys.
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

// retireKeys forgets the unused keys once there are more than [maxUnusedKeys].
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
