package words

import netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"

// IP returns the endpoint that owns an IPv4 or IPv6 address: a Pod, a Node, a Service, or nothing in the
// cluster.
func IP(address string) *netpoldv1.Endpoint {
	both := &struct { // one allocation
		endpoint netpoldv1.Endpoint
		ip       netpoldv1.Endpoint_Ip
	}{ip: netpoldv1.Endpoint_Ip{Ip: address}}
	both.endpoint.Endpoint = &both.ip
	return &both.endpoint
}

// Pod returns a Pod by name.
func Pod(namespace, name string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: &netpoldv1.PodRef{Namespace: namespace,
		Name: name}}}
}

// Workload returns all Pods of a workload that have not finished. kind is Deployment, StatefulSet, DaemonSet,
// ReplicaSet, ReplicationController, Job or CronJob.
func Workload(namespace, kind, name string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Workload{
		Workload: &netpoldv1.WorkloadRef{Namespace: namespace, Kind: kind, Name: name},
	}}
}

// Service returns a Service by name. It can only be a destination.
func Service(namespace, name string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Service{
		Service: &netpoldv1.ServiceRef{Namespace: namespace, Name: name},
	}}
}

// Labels returns a Pod that need not exist: would it be allowed?
func Labels(namespace string, labels map[string]string) *netpoldv1.Endpoint {
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{
		Labels: &netpoldv1.LabelledPod{Namespace: namespace, Labels: labels},
	}}
}
