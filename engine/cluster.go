package engine

import (
	"sync/atomic"

	"github.com/netpold/netpold/engine/internal/persist"
)

// Options change what decisions mean, for the whole life of a [Cluster].
type Options struct {
	// IPBlockIgnoresPods restricts ipBlock to addresses outside the cluster: of no Pod and no Node (S19).
	IPBlockIgnoresPods bool
	// LocalAboveTiers allows a Pod's traffic to its own Node, and to itself through a Service, before all
	// tiers; otherwise only the NetworkPolicy tier is passed by (S44).
	LocalAboveTiers bool
	// DecideOwnNode decides a Pod's connections to its own Node as those to any other; otherwise they are
	// exempt (S3). What comes from its Node stays exempt.
	DecideOwnNode bool
	// DecideOwnService decides the connections of a Pod that reaches itself through a Service; otherwise they
	// are exempt (S2).
	DecideOwnService bool
	// JoinDirections lets the rules of a NetworkPolicy that isolates both directions, and selects both ends,
	// count for either side: an ingress rule allows its source's egress too, and an egress rule its
	// destination's ingress.
	JoinDirections bool
	// ShareBlocks takes all ipBlocks of a rule for one set, in which the longest prefix that contains an
	// address decides: whether it is a cidr or an except of any of them.
	ShareBlocks bool
	// IgnorePolicies lets no policy of any kind apply to a Pod. Policies are still stored and counted.
	IgnorePolicies bool
}

// Cluster is the mutable mirror of a cluster: it holds the present [Snapshot] and makes the next one. One
// goroutine calls [Cluster.Apply]; any number call [Cluster.Snapshot].
type Cluster struct {
	present atomic.Pointer[Snapshot]
}

// NewCluster returns an empty cluster. Its first snapshot has revision 0.
func NewCluster(o Options) *Cluster {
	c := &Cluster{}
	c.present.Store(&Snapshot{state: newState(o), id: &Identity{}})
	return c
}

// Snapshot returns the present state. It never blocks.
func (c *Cluster) Snapshot() *Snapshot { return c.present.Load() }

// Apply makes all changes, in order, and publishes them as one snapshot, which it returns. The result depends
// on the objects that remain alone, not on the order in which they came (S6, S7, S18). Its cost is that of
// what the changes concern, not of the cluster. The objects belong to the engine from then on.
func (c *Cluster) Apply(changes ...Change) *Snapshot {
	next := c.present.Load().With(changes)
	next.revision++
	c.present.Store(next)
	return next
}

// With returns s with changes laid over it, in order, as [Cluster.Apply] would make them. The result shares
// with s whatever the changes do not concern, and costs what they concern. It has the revision of s and an
// identity of its own, and nobody is told of it.
//
// With does not modify s. Any number of goroutines may lay changes over one snapshot, beside the writer of
// its Cluster and beside readers. The objects belong to the engine from then on.
func (s *Snapshot) With(changes []Change) *Snapshot {
	next := &Snapshot{state: s.state, revision: s.revision, id: &Identity{}}
	t := txn{
		state: &next.state, edit: &persist.Edit{},
		dirty: map[uint32]struct{}{}, renewed: map[uint32]struct{}{}, changedKeys: map[scopedKey]struct{}{},
		unclassed: map[nameKey]struct{}{}, unclassedNodes: map[string]struct{}{},
	}
	t.apply(changes)
	next.counts.Classes = next.classIDs.Len() - next.nodeClasses
	return next
}

// Snapshot is the cluster at one moment, compiled for decisions. It is immutable: any number of goroutines
// may ask it.
type Snapshot struct {
	state
	revision uint64
	id       *Identity
	memo     atomic.Pointer[any]
}

// Memo returns what make returned when it first succeeded; it is kept as long as the snapshot. Callers that
// come at once may all make it, and get the same. It is for package audit alone, which makes one thing of a
// snapshot.
func (s *Snapshot) Memo(make func() (any, error)) (any, error) {
	if found := s.memo.Load(); found != nil {
		return *found, nil
	}
	made, err := make()
	if err != nil {
		return nil, err
	}
	if !s.memo.CompareAndSwap(nil, &made) {
		made = *s.memo.Load()
	}
	return made, nil
}

// Identity tells one snapshot from all others, those of other Clusters too, by its address. It is not empty,
// or two could share an address.
type Identity struct{ _ byte }

// ID returns the identity of the snapshot. Whoever keeps it does not keep the snapshot in memory.
func (s *Snapshot) ID() *Identity { return s.id }

// Options returns the options of the Cluster that the snapshot is of.
func (s *Snapshot) Options() Options { return s.options }

// Revision returns a number that grows by one with every snapshot of a Cluster (S25).
func (s *Snapshot) Revision() uint64 { return s.revision }

// Counts returns how much the snapshot holds.
func (s *Snapshot) Counts() Counts { return s.counts }

// Counts says how much a snapshot holds.
type Counts struct {
	// Pods that have not finished; Namespaces and Nodes that have an object.
	Pods, Namespaces, Policies, Nodes, Services, EndpointSlices int
	// ClusterPolicies are the cluster-wide policies, by kind.
	ClusterPolicies [clusterPolicyKinds]int
	// Classes are groups of Pods that no selector tells apart; Selectors the distinct ones of all policies.
	Classes, Selectors int
}
