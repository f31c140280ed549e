// Package words parses and formats endpoints and protocols in the words of the command: "deploy/shop/frontend",
// "10.0.3.7". Whoever takes them from a person or a file, on either side of the wire, takes them here.
package words

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// forms ends every error of [ParseEndpoint].
const forms = "write shop/frontend-0 (a Pod), deploy/shop/frontend (a workload: deploy, sts, ds, rs, rc, " +
	"job, cj), svc/shop/cart (a Service), 10.0.3.7 (an address), shop?app=web,tier=front (labels) or " +
	"shop?app=web#http=8080,ip=10.0.0.9 (labels, named ports and an address)"

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
func ParseEndpoint(text string) (*netpoldv1.Endpoint, error) {
	endpoint, err := parseEndpoint(text)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w; %s", text, err, forms)
	}
	return endpoint, nil
}

func parseEndpoint(words string) (*netpoldv1.Endpoint, error) {
	if strings.ContainsFunc(words, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
	}) {
		return nil, errors.New("spaces and control characters have no place in it")
	}
	if namespace, labels, ok := strings.Cut(words, "?"); ok {
		return parseLabelled(namespace, labels)
	}
	if addr, err := netip.ParseAddr(unbracketed(words)); err == nil {
		if addr.Zone() != "" {
			return nil, errors.New("a zone means nothing to a cluster: give the address without it")
		}
		return IP(addr.Unmap().String()), nil
	}
	if err := nearlyAddress(words); err != nil {
		return nil, err
	}
	parts := strings.Split(words, "/")
	if slices.Contains(parts, "") {
		return nil, errors.New("a name is missing")
	}
	switch len(parts) {
	case 2:
		return Pod(parts[0], parts[1]), nil
	case 3:
		return parseKind(parts[0], parts[1], parts[2])
	case 1:
		return nil, errors.New("neither an address nor a name with its namespace")
	default:
		return nil, errors.New("too many names")
	}
}

// nearlyAddress returns the error of words that contain an address in a wrong form; nil if they do not.
func nearlyAddress(words string) error {
	if _, err := netip.ParsePrefix(words); err == nil {
		return errors.New("a range is not an endpoint: give one address of it")
	}
	if _, err := netip.ParseAddrPort(words); err == nil {
		return errors.New("the port does not belong to the address: give it apart")
	}
	return nil
}

func unbracketed(words string) string {
	if inner, ok := strings.CutPrefix(words, "["); ok {
		if inner, ok := strings.CutSuffix(inner, "]"); ok && strings.Contains(inner, ":") {
			return inner
		}
	}
	return words
}

func parseKind(word, namespace, name string) (*netpoldv1.Endpoint, error) {
	switch kind := kindOf(word); kind {
	case "":
		return nil, fmt.Errorf("%q is no kind of endpoint", word)
	case "Pod":
		return Pod(namespace, name), nil
	case "Service":
		return Service(namespace, name), nil
	default:
		return Workload(namespace, kind, name), nil
	}
}

// kindOf returns the kind as Kubernetes writes it; empty if there is none.
func kindOf(word string) string {
	switch strings.ToLower(word) {
	case "pod", "pods", "po":
		return "Pod"
	case "service", "services", "svc":
		return "Service"
	case "deployment", "deployments", "deploy":
		return "Deployment"
	case "statefulset", "statefulsets", "sts":
		return "StatefulSet"
	case "daemonset", "daemonsets", "ds":
		return "DaemonSet"
	case "replicaset", "replicasets", "rs":
		return "ReplicaSet"
	case "replicationcontroller", "replicationcontrollers", "rc":
		return "ReplicationController"
	case "job", "jobs":
		return "Job"
	case "cronjob", "cronjobs", "cj":
		return "CronJob"
	default:
		return ""
	}
}

// FormatEndpoint returns an endpoint in the words that [ParseEndpoint] parses, with labels in order of their
// keys. It returns "" for an endpoint that is not set.
func FormatEndpoint(endpoint *netpoldv1.Endpoint) string {
	switch e := endpoint.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Ip:
		return e.Ip
	case *netpoldv1.Endpoint_Pod:
		return e.Pod.GetNamespace() + "/" + e.Pod.GetName()
	case *netpoldv1.Endpoint_Workload:
		return shortKind(e.Workload.GetKind()) + "/" + e.Workload.GetNamespace() + "/" + e.Workload.GetName()
	case *netpoldv1.Endpoint_Service:
		return "svc/" + e.Service.GetNamespace() + "/" + e.Service.GetName()
	case *netpoldv1.Endpoint_Labels:
		return formatLabelled(e.Labels)
	default:
		return ""
	}
}

func shortKind(kind string) string {
	switch kind {
	case "Deployment":
		return "deploy"
	case "StatefulSet":
		return "sts"
	case "DaemonSet":
		return "ds"
	case "ReplicaSet":
		return "rs"
	case "ReplicationController":
		return "rc"
	case "CronJob":
		return "cj"
	default:
		return strings.ToLower(kind)
	}
}

// ParseProtocol parses TCP, UDP or SCTP in any case, or their names in the proto, such as PROTOCOL_TCP. Empty
// means TCP.
func ParseProtocol(word string) (netpoldv1.Protocol, error) {
	switch strings.ToUpper(word) {
	case "TCP", "PROTOCOL_TCP", "":
		return netpoldv1.Protocol_PROTOCOL_TCP, nil
	case "UDP", "PROTOCOL_UDP":
		return netpoldv1.Protocol_PROTOCOL_UDP, nil
	case "SCTP", "PROTOCOL_SCTP":
		return netpoldv1.Protocol_PROTOCOL_SCTP, nil
	default:
		return netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, fmt.Errorf("protocol %q: write TCP, UDP or SCTP", word)
	}
}
