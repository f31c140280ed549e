// Package kube proves netpold against a real Kubernetes: etcd, kube-apiserver and netpold run as processes of their own on the
// loopback, netpold under the very rights that deploy/ grants, and what deploy/ ships is given to the API server. It is a module of
// its own, as are servers (etcd and kube-apiserver, at the versions that they were released with) and crds, so that what the tests
// need is not what netpold needs.
//
//	go test ./...                       all of it: the first time builds a kube-apiserver, later ones take minutes
//	NETPOLD=/path/to/netpold go test    the same with another netpold
package kube
