package netpold

import (
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
)

// ParseEndpoint parses an endpoint in words:
//
//	shop/frontend-0          the Pod frontend-0 of namespace shop; also pod/shop/frontend-0
//	deploy/shop/frontend     the Deployment frontend of namespace shop
//	svc/shop/cart            the Service cart of namespace shop
//	10.0.3.7, 2001:db8::7    an address; an IPv6 address may stand in brackets
//	shop?app=web,tier=front  a Pod of namespace shop with these labels, whether there is one or not; "shop?" for no labels
//	shop?app=web#http=8080,dns=53/UDP,ip=10.0.0.9
//	                         the same with named ports, TCP unless told otherwise, and an address; of a name that
//	                         has several ports each counts (S21)
//
// The kinds are those of kubectl, in any case, singular or plural, long or short: pod (po), deployment
// (deploy), statefulset (sts), daemonset (ds), replicaset (rs), replicationcontroller (rc), job, cronjob
// (cj), service (svc). Two words are always a Pod, whatever the name of its namespace: deploy/x is the Pod x
// of namespace deploy.
func ParseEndpoint(text string) (*netpoldv1.Endpoint, error) { return words.ParseEndpoint(text) }

// FormatEndpoint returns an endpoint in the words that [ParseEndpoint] parses, with labels in order of their
// keys. It returns "" for an endpoint that is not set.
func FormatEndpoint(endpoint *netpoldv1.Endpoint) string { return words.FormatEndpoint(endpoint) }

// ParseProtocol parses TCP, UDP or SCTP in any case, or their names in the proto, such as PROTOCOL_TCP. Empty
// means TCP.
func ParseProtocol(word string) (netpoldv1.Protocol, error) { return words.ParseProtocol(word) }
