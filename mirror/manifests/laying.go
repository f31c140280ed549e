package manifests

import (
	"maps"
	"math"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/netpold/netpold/engine"
)

// A laying is a snapshot with the changes of an overlay so far. The snapshot is not modified. A nil laying is
// an empty one that cannot be changed.
type laying struct {
	base *engine.Snapshot
	// objects has what was changed; nil for what was deleted. order has its keys, in order.
	objects map[engine.ObjectKey]engine.Object
	order   []engine.ObjectKey
	// byWorkload has the changed Pods that were of a workload at some time.
	byWorkload map[podOwner][]engine.ObjectKey
	// namespaces are those of the applied objects, of those that play no part too.
	namespaces map[string]bool
	// services are the applied Services whose slices follow their Pods. sliced are those with slices of the
	// overlay.
	services, sliced map[engine.ObjectKey]bool
	// read has the Pods that documents describe, with what Services need of them.
	read map[engine.ObjectKey]*pod
}

// A podOwner is a workload of a namespace.
type podOwner struct {
	namespace string
	engine.Workload
}

// newLaying returns base without changes.
func newLaying(base *engine.Snapshot) *laying {
	return &laying{
		base: base, objects: map[engine.ObjectKey]engine.Object{}, byWorkload: map[podOwner][]engine.ObjectKey{},
		namespaces: map[string]bool{}, services: map[engine.ObjectKey]bool{},
		sliced: map[engine.ObjectKey]bool{}, read: map[engine.ObjectKey]*pod{},
	}
}

// object returns an object as it is by now, and whether it is there. It must not be modified.
func (l *laying) object(key engine.ObjectKey) (engine.Object, bool) {
	if o, changed := l.objects[key]; changed {
		return o, o != nil
	}
	return l.base.Object(key)
}

// pod returns a Pod as it is by now, and whether it is there.
func (l *laying) pod(key engine.ObjectKey) (*engine.Pod, bool) {
	o, _ := l.object(key)
	p, ok := o.(*engine.Pod)
	return p, ok
}

// set stores an object.
func (l *laying) set(o engine.Object) {
	key := engine.KeyOf(o)
	l.store(key, o)
	if p, ok := o.(*engine.Pod); ok {
		for _, w := range p.Workloads {
			owner := podOwner{p.Namespace, w}
			l.byWorkload[owner] = append(l.byWorkload[owner], key)
		}
	}
}

// remove deletes an object.
func (l *laying) remove(key engine.ObjectKey) {
	l.store(key, nil)
	delete(l.read, key)
	delete(l.services, key)
}

func (l *laying) store(key engine.ObjectKey, o engine.Object) {
	if _, again := l.objects[key]; !again {
		l.order = append(l.order, key)
	}
	l.objects[key] = o
}

// podsOf returns the Pods of a workload, finished ones among them, in order of name.
func (l *laying) podsOf(namespace string, w engine.Workload) []engine.ObjectKey {
	keys := slices.Concat(l.base.PodsOf(namespace, w), l.byWorkload[podOwner{namespace, w}])
	slices.SortFunc(keys, engine.ObjectKey.Compare)
	return slices.DeleteFunc(slices.Compact(keys), func(key engine.ObjectKey) bool {
		p, ok := l.pod(key)
		return !ok || !slices.Contains(p.Workloads, w)
	})
}

// livePods returns the Pods of a workload that are real and have not finished.
func (l *laying) livePods(w *workload) (pods []*engine.Pod) {
	if l == nil {
		return nil
	}
	for _, key := range l.podsOf(w.namespace, engine.Workload{Kind: w.kind, Name: w.name}) {
		if p, _ := l.pod(key); !p.Finished {
			pods = append(pods, p)
		}
	}
	return pods
}

// hasPod reports whether there is a Pod of that name.
func (l *laying) hasPod(name identity) bool {
	if l == nil {
		return false
	}
	_, ok := l.pod(engine.ObjectKey{Kind: engine.KindPod, Namespace: name.namespace, Name: name.name})
	return ok
}

// objectsIn returns what is in a namespace by now, in order.
func (l *laying) objectsIn(namespace string) []engine.ObjectKey {
	keys := l.base.ObjectsIn(namespace)
	for _, key := range l.order {
		if key.Namespace == namespace {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, engine.ObjectKey.Compare)
	return slices.DeleteFunc(slices.Compact(keys), func(key engine.ObjectKey) bool {
		_, ok := l.object(key)
		return !ok
	})
}

// changes returns the changes that were made, without those that change nothing.
func (l *laying) changes() []engine.Change {
	var list []engine.Change
	for _, key := range l.order {
		o := l.objects[key]
		was, there := l.base.Object(key)
		switch {
		case o == nil && there:
			list = append(list, engine.Change{Object: was, Delete: true})
		case o != nil && !(there && reflect.DeepEqual(was, o)):
			list = append(list, engine.Change{Object: o})
		}
	}
	return list
}

// createdNow is when a Pod is created that the overlay adds, unless its document says: after every other (S7).
const createdNow = math.MaxInt64

// layOver adds what was read, and what follows from it, to what it is laid over.
func (r *fileReader) layOver() {
	l := r.over
	r.pods = lastOf(r.pods, func(p *pod) identity { return identity{"Pod", p.Namespace, p.Name} })
	r.workloads = lastOf(r.workloads, func(w *workload) identity { return w.identity() })
	r.services = lastOf(r.services, func(s *corev1.Service) identity {
		return identity{"Service", s.Namespace, s.Name}
	})
	r.expand()
	for id := range r.seen {
		if id.namespace != "" {
			l.namespaces[id.namespace] = true
		}
	}
	maps.Copy(l.namespaces, r.beside)
	for _, p := range r.pods {
		key := engine.KeyOf(p.Pod)
		was, ok := l.pod(key)
		if ok && p.bare {
			keepStatus(p.Pod, was)
		}
		if p.Created == 0 && ok {
			p.Created = was.Created
		} else if p.Created == 0 {
			p.Created = createdNow
		}
		l.set(p.Pod)
		l.read[key] = p
	}
	for _, o := range r.objects {
		if node, ok := o.(*engine.Node); ok {
			l.keepNode(node)
		}
		l.set(o)
	}
	for _, w := range r.workloads {
		l.removeStandIns(w)
	}
	for _, s := range r.services {
		l.keepService(s)
		if len(s.Spec.Selector) == 0 && s.Spec.Type != corev1.ServiceTypeExternalName {
			before := len(r.objects)
			r.mirrorEndpoints(s)
			for _, o := range r.objects[before:] {
				l.set(o)
			}
		}
	}
	for id := range r.sliced {
		l.sliced[engine.ObjectKey{Kind: engine.KindService, Namespace: id.namespace, Name: id.name}] = true
	}
}

// lastOf returns the items without those that a later one replaces.
func lastOf[T any](items []T, of func(T) identity) []T {
	last := make(map[identity]int, len(items))
	for i, item := range items {
		last[of(item)] = i
	}
	var list []T
	for i, item := range items {
		if last[of(item)] == i {
			list = append(list, item)
		}
	}
	return list
}

// keepStatus gives a Pod without a status what the cluster filled in.
func keepStatus(p, was *engine.Pod) {
	p.IPs, p.HostIPs, p.Finished, p.SecondaryIPs = was.IPs, was.HostIPs, was.Finished, was.SecondaryIPs
	if p.Node == "" {
		p.Node = was.Node
	}
	if p.UID == "" {
		p.UID = was.UID
	}
	if p.ServiceAccount == "" {
		p.ServiceAccount = was.ServiceAccount
	}
	if len(p.Workloads) == 0 {
		p.Workloads = was.Workloads
	}
}

// keepNode gives a Node without a status what the cluster filled in.
func (l *laying) keepNode(n *engine.Node) {
	o, _ := l.object(engine.KeyOf(n))
	was, ok := o.(*engine.Node)
	if !ok {
		return
	}
	if len(n.IPs) == 0 {
		n.IPs = was.IPs
	}
	if len(n.PodCIDRs) == 0 {
		n.PodCIDRs = was.PodCIDRs
	}
}
