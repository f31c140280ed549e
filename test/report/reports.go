package report

import (
	"bytes"
	"strconv"

	"github.com/netpold/netpold/cmd/render/html"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// ListReport returns the report of a list of the cluster.
func (c *Cluster) ListReport(o html.Options) ([]byte, error) {
	var b bytes.Buffer
	r := html.NewList(&b, o)
	for _, m := range c.List() {
		if err := r.Write(m); err != nil {
			return nil, err
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// DiffReport returns the report of a difference of the cluster.
func (c *Cluster) DiffReport(o html.Options) ([]byte, error) {
	var b bytes.Buffer
	r := html.NewDiff(&b, o)
	for _, m := range c.Diff() {
		if err := r.Write(m); err != nil {
			return nil, err
		}
	}
	if err := r.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Reports returns reports to look at, by name.
func Reports() map[string]func() ([]byte, error) {
	reports := map[string]func() ([]byte, error){
		"hostile": func() ([]byte, error) { return NewHostile().ListReport(html.Options{Command: "netpold list"}) },
		"diff": func() ([]byte, error) {
			return NewCluster(200).DiffReport(html.Options{Command: "netpold diff -f new"})
		},
	}
	for _, size := range []int{12, 200, 2000, 2100} {
		reports["list-"+strconv.Itoa(size)] = func() ([]byte, error) {
			return NewCluster(size).ListReport(html.Options{Command: "netpold list"})
		}
	}
	return reports
}

// ToWorkload returns a request for who may reach a workload.
func ToWorkload(namespace, kind, name string) *netpoldv1.ListConnectionsRequest {
	return &netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{
		{Endpoint: &netpoldv1.Endpoint_Workload{
			Workload: &netpoldv1.WorkloadRef{Namespace: namespace, Kind: kind, Name: name},
		}},
	}}}
}
