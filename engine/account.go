package engine

import (
	"net/netip"
	"unique"
)

// defaultAccount is the ServiceAccount of a Pod that names none.
const defaultAccount = "default"

// RunsAs reports whether e stands for one or more Pods, none of them on the host network, that all are in
// namespace and run as its ServiceAccount account. Addresses of Nodes, Services and of nobody stand for no Pod,
// and a [LabelledPod] is none. The error is nil or the [*QueryError] of e as a source. It is safe for concurrent
// use.
func (s *Snapshot) RunsAs(e Endpoint, namespace, account string) (bool, error) {
	parties, err := s.parties(e, false)
	if err != nil {
		return false, err
	}
	for i := range parties {
		p := parties[i].pod
		if p == nil || !p.ordinary() || p.namespace != namespace || p.accountName() != account {
			return false, nil
		}
	}
	return true, nil
}

// accountName returns the name of the Pod's ServiceAccount.
func (p *pod) accountName() string {
	if p.account == (unique.Handle[string]{}) {
		return defaultAccount
	}
	return p.account.Value()
}

// HasAddress reports whether ip belongs to a Pod, a Node or a Service (S5, S24). It is safe for concurrent use.
func (s *Snapshot) HasAddress(ip netip.Addr) bool {
	ip = ip.Unmap()
	if s.address(ip) != nil {
		return true
	}
	keys, _ := s.vips.Get(ip)
	return len(keys) > 0
}

// IP returns the address that e was made of by [ByIP]; not valid for any other endpoint.
func (e Endpoint) IP() netip.Addr { return e.ip }
