// Package kubetest runs a real etcd, a real kube-apiserver and the real netpold on the loopback, each as its own process, and
// does to them what happens to clusters: it stops, suspends, empties and compacts them.
//
// Everything that it starts ends with the test, and with the test's process however that ends; everything that it waits for
// has a deadline. Nothing schedules or runs Pods: they are created on a Node, and their status is written as a kubelet would.
package kubetest
