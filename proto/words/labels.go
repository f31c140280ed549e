package words

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// parseLabelled parses a Pod that need not exist. words follow the "?" after its namespace.
func parseLabelled(namespace, words string) (*netpoldv1.Endpoint, error) {
	if namespace == "" || strings.Contains(namespace, "/") {
		return nil, errors.New("before the ? belongs the name of a namespace")
	}
	if wrong := names.Namespace(namespace); wrong != "" {
		return nil, fmt.Errorf("%q %s", namespace, wrong)
	}
	pod := &netpoldv1.LabelledPod{Namespace: namespace}
	labels, extras, extended := strings.Cut(words, "#")
	if labels != "" {
		pod.Labels = make(map[string]string)
		for label := range strings.SplitSeq(labels, ",") {
			if err := addLabel(pod.Labels, label); err != nil {
				return nil, err
			}
		}
	}
	if extended {
		for extra := range strings.SplitSeq(extras, ",") {
			if err := addExtra(pod, extra); err != nil {
				return nil, err
			}
		}
	}
	return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: pod}}, nil
}

// addLabel parses KEY=VALUE and adds it.
func addLabel(labels map[string]string, label string) error {
	key, value, ok := strings.Cut(label, "=")
	if !ok || key == "" || strings.Contains(value, "=") {
		return fmt.Errorf("label %q is not KEY=VALUE", label)
	}
	if _, twice := labels[key]; twice {
		return fmt.Errorf("label %q is given twice", key)
	}
	if wrong := names.LabelKey(key); wrong != "" {
		return fmt.Errorf("label %q: %q %s", label, key, wrong)
	}
	if wrong := names.LabelValue(value); wrong != "" {
		return fmt.Errorf("label %q: %q %s", label, value, wrong)
	}
	labels[key] = value
	return nil
}

// addressKey precedes an address after the "#". A port may have the same name, because its value is a number.
const addressKey = "ip"

// addExtra parses one of the words after the "#": NAME=PORT, NAME=PORT/PROTOCOL or ip=ADDRESS.
func addExtra(pod *netpoldv1.LabelledPod, extra string) error {
	name, value, ok := strings.Cut(extra, "=")
	if !ok {
		return fmt.Errorf("%q after the # is neither NAME=PORT (http=8080 or dns=53/UDP) nor ip=ADDRESS", extra)
	}
	if name == addressKey {
		if addr, err := netip.ParseAddr(unbracketed(value)); err == nil {
			return setAddress(pod, addr)
		}
	}
	if wrong := names.Port(name); wrong != "" {
		return fmt.Errorf("port %q: %q %s", extra, name, wrong)
	}
	number, word, hasProtocol := strings.Cut(value, "/")
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		if name == addressKey {
			return fmt.Errorf("%q: %q is neither an address nor a port: give an IPv4 or IPv6 address, or 1 to 65535",
				extra, value)
		}
		return fmt.Errorf("port %q: %q is not a port: give 1 to 65535", extra, number)
	}
	protocol, err := ParseProtocol(word)
	if err != nil || hasProtocol && word == "" {
		return fmt.Errorf("port %q: %q is not a protocol: write TCP, UDP or SCTP", extra, word)
	}
	pod.NamedPorts = append(pod.NamedPorts,
		&netpoldv1.NamedPort{Name: name, Port: uint32(port), Protocol: protocol})
	return nil
}

func setAddress(pod *netpoldv1.LabelledPod, addr netip.Addr) error {
	switch {
	case pod.GetIp() != "":
		return fmt.Errorf("%q is a second address beside %q: give one", addr, pod.GetIp())
	case addr.Zone() != "":
		return errors.New("a zone means nothing to a cluster: give the address without it")
	}
	pod.Ip = addr.Unmap().String()
	return nil
}

// formatLabelled returns the namespace and the words that [parseLabelled] parses.
func formatLabelled(pod *netpoldv1.LabelledPod) string {
	labels := slices.Sorted(maps.Keys(pod.GetLabels()))
	for i, key := range labels {
		labels[i] = key + "=" + pod.GetLabels()[key]
	}
	var extras []string
	for _, port := range pod.GetNamedPorts() {
		extras = append(extras, formatNamedPort(port))
	}
	if pod.GetIp() != "" {
		extras = append(extras, addressKey+"="+pod.GetIp())
	}
	words := pod.GetNamespace() + "?" + strings.Join(labels, ",")
	if len(extras) > 0 {
		words += "#" + strings.Join(extras, ",")
	}
	return words
}

func formatNamedPort(port *netpoldv1.NamedPort) string {
	text := port.GetName() + "=" + strconv.FormatUint(uint64(port.GetPort()), 10)
	switch p := port.GetProtocol(); p {
	case netpoldv1.Protocol_PROTOCOL_UNSPECIFIED, netpoldv1.Protocol_PROTOCOL_TCP:
		return text
	default:
		return text + "/" + strings.TrimPrefix(p.String(), "PROTOCOL_")
	}
}
