package netpold

import (
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
)

// IP returns the endpoint that owns an IPv4 or IPv6 address: a Pod, a Node, a Service, or nothing in the
// cluster.
func IP(address string) *netpoldv1.Endpoint { return words.IP(address) }

// Pod returns a Pod by name.
func Pod(namespace, name string) *netpoldv1.Endpoint { return words.Pod(namespace, name) }

// Workload returns all Pods of a workload that have not finished. kind is Deployment, StatefulSet, DaemonSet,
// ReplicaSet, ReplicationController, Job or CronJob.
func Workload(namespace, kind, name string) *netpoldv1.Endpoint {
	return words.Workload(namespace, kind, name)
}

// Service returns a Service by name. It can only be a destination.
func Service(namespace, name string) *netpoldv1.Endpoint { return words.Service(namespace, name) }

// Labels returns a Pod that need not exist: would it be allowed?
func Labels(namespace string, labels map[string]string) *netpoldv1.Endpoint {
	return words.Labels(namespace, labels)
}
