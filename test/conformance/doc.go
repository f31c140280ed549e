// Package conformance runs the conformance suite of sigs.k8s.io/network-policy-api against netpold. It is a
// module of its own, because the suite brings what netpold does not need.
//
// The suite runs as it is, in the order it was written: it creates its objects, patches them, and runs
// commands in Pods that try to connect. A [Cluster] stands in for the cluster. It keeps the objects, gives
// Pods to StatefulSets, and answers each command with netpold's decision. So the expectations are the suite's
// own, and nothing of it is copied.
//
// The tests are in cnp and anp. anp is a module of its own, because the suite of AdminNetworkPolicy and
// BaselineAdminNetworkPolicy ends with an older version of the same module.
package conformance
