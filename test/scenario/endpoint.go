package scenario

import (
	"fmt"
	"net/netip"
	"strings"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// ParseEndpoint reads an end of a question in words: an address, shop/web-0, deploy/shop/web, svc/shop/cart,
// or a labelled Pod, which beyond the command's words may have an address and named ports:
// shop?app=web;ip=10.0.0.9;port=http:8080/TCP.
func ParseEndpoint(word string) (*netpoldv1.Endpoint, error) {
	if addr, err := netip.ParseAddr(word); err == nil {
		if addr.Zone() != "" {
			return nil, fmt.Errorf("address %q has a zone", word)
		}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: word}}, nil
	}
	if namespace, labels, ok := strings.Cut(word, "?"); ok && namespace != "" {
		return parseLabelled(namespace, labels)
	}
	parts := strings.Split(word, "/")
	for _, part := range parts {
		if part == "" {
			return nil, fmt.Errorf("end %q has an empty part", word)
		}
	}
	switch {
	case len(parts) == 2:
		pod := &netpoldv1.PodRef{Namespace: parts[0], Name: parts[1]}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: pod}}, nil
	case len(parts) == 3 && parts[0] == "svc":
		service := &netpoldv1.ServiceRef{Namespace: parts[1], Name: parts[2]}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Service{Service: service}}, nil
	case len(parts) == 3 && workloadKind(parts[0]) != "":
		workload := &netpoldv1.WorkloadRef{Namespace: parts[1], Kind: workloadKind(parts[0]), Name: parts[2]}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Workload{Workload: workload}}, nil
	default:
		return nil, fmt.Errorf("end %q is none of IP, NAMESPACE/POD, svc/NAMESPACE/NAME, deploy/NAMESPACE/NAME "+
			"(or sts, ds, rs, rc, job, cronjob) and NAMESPACE?LABEL=VALUE", word)
	}
}

func workloadKind(short string) string {
	switch short {
	case "deploy":
		return "Deployment"
	case "sts":
		return "StatefulSet"
	case "ds":
		return "DaemonSet"
	case "rs":
		return "ReplicaSet"
	case "rc":
		return "ReplicationController"
	case "job":
		return "Job"
	case "cronjob":
		return "CronJob"
	default:
		return ""
	}
}

// parseLabelled reads what follows the "?" of a labelled Pod.
func parseLabelled(namespace, rest string) (*netpoldv1.Endpoint, error) {
	pod := &netpoldv1.LabelledPod{Namespace: namespace}
	labels, more, _ := strings.Cut(rest, ";")
	for pair := range strings.SplitSeq(labels, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if labels == "" {
			break
		}
		if _, twice := pod.Labels[key]; !ok || key == "" || twice {
			return nil, fmt.Errorf("label %q is not KEY=VALUE, or comes twice", pair)
		}
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		pod.Labels[key] = value
	}
	for extra := range strings.SplitSeq(more, ";") {
		switch key, value, _ := strings.Cut(extra, "="); {
		case more == "":
		case key == "ip" && pod.GetIp() == "":
			if _, err := netip.ParseAddr(value); err != nil {
				return nil, fmt.Errorf("address of a labelled Pod: %w", err)
			}
			pod.Ip = value
		case key == "port":
			name, number, _ := strings.Cut(value, ":")
			port, protocol, err := parsePort(number)
			if err != nil || name == "" {
				return nil, fmt.Errorf("port %q of a labelled Pod is not NAME:PORT[/PROTOCOL]", value)
			}
			pod.NamedPorts = append(pod.NamedPorts, &netpoldv1.NamedPort{Name: name, Port: port, Protocol: protocol})
		default:
			return nil, fmt.Errorf("%q of a labelled Pod is neither ip=ADDRESS nor port=NAME:PORT", extra)
		}
	}
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: pod}}, nil
}
