// Package engine decides whether a connection between two endpoints of a Kubernetes cluster is allowed, by
// the rules of docs/semantics.md. It is pure: no Kubernetes, no gRPC, no clock, no log and no I/O.
//
// One writer gives a [Cluster] the changes; any number of readers ask its [Snapshot], without locks:
//
//	Change ─► Cluster.Apply ─► *Snapshot ─► Allowed(Query) ─► Decision
//
// To answer, a snapshot
//
//  1. finds both parties, by address in the table of owners or by name, and with each Pod its class;
//  2. allows the same Pod, and a Pod and its own Node;
//  3. asks the rule tables of the source's class for egress and of the destination's for ingress: a rule
//     table has the merged rules of all NetworkPolicies that select the class, by ranges of ports and sets of
//     peers; rules of cluster-wide policies, which come before and after, are laid out by kind of peer;
//  4. looks the other party up in those sets: its class by the selectors that select it, its address by
//     longest prefix; the lowest rank that matches is the first rule that matches.
//
// To apply a batch, a cluster works on a copy of the present snapshot's persistent collections, and
//
//  1. stores the objects, and decides for each address that they claim who owns it;
//  2. interns the selectors of policies, and files new ones in an inverted index by label;
//  3. gives Pods that are new or changed their class: namespace, relevant labels, named ports;
//  4. rebuilds the classes that any of this touches, through the index, and publishes the snapshot.
//
// The words: a Query about two Endpoints is answered by a [Decision]; a class is a group of Pods that no
// selector tells apart; a selector is a group of Pods that some policy names; a rule table is the merged
// NetworkPolicies of a class; a rank is a rule's place in it. docs/design.md gives the reasons and the invariants.
package engine
