// Package convert turns Kubernetes objects into the engine's. No other package does, so files and informers
// yield the same cluster.
//
// Every function applies the API server's defaults and is safe for concurrent use. It retains nothing of the
// object but strings. It leaves out what it cannot read, such as an invalid address or port, and reports it
// as a [mirror.Problem] without File. A policy never allows more than was meant: see [Policy] and
// [ClusterPolicy].
package convert

import (
	"strconv"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// A problemList collects the problems of one object. Nothing is allocated for an object without problems, as
// most are.
type problemList struct {
	kind, namespace, name string
	list                  []mirror.Problem
}

func (f *problemList) add(field, message string) {
	f.list = append(f.list, mirror.Problem{Kind: f.kind, Namespace: f.namespace, Name: f.name, Field: field,
		Message: message})
}

func (f *problemList) warn(field, message string) {
	f.add(field, message)
	f.list[len(f.list)-1].Warning = true
}

// intern returns s in memory shared by all equal strings: a cluster repeats a few names and labels 100,000
// times.
func intern(s string) string { return unique.Make(s).Value() }

func internLabels(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	m := make(map[string]string, len(labels))
	for k, v := range labels {
		m[intern(k)] = intern(v)
	}
	return m
}

// protocolOf converts a protocol; an empty one is TCP (S20, S22). It reports whether p is valid.
func protocolOf(p corev1.Protocol) (engine.Protocol, bool) {
	switch p {
	case "", corev1.ProtocolTCP:
		return engine.TCP, true
	case corev1.ProtocolUDP:
		return engine.UDP, true
	case corev1.ProtocolSCTP:
		return engine.SCTP, true
	}
	return 0, false
}

// portOf converts a port number. It reports whether n is in range.
func portOf(n int32) (uint16, bool) {
	if n < 1 || n > 65535 {
		return 0, false
	}
	return uint16(n), true
}

// port converts a port number and a protocol. It adds a problem below path for each that is invalid.
func (f *problemList) port(n int32, protocol corev1.Protocol, path func() string,
	numberField string) (uint16, engine.Protocol, bool) {
	number, numberOK := portOf(n)
	if !numberOK {
		f.add(path()+"."+numberField, "Invalid value: "+strconv.Itoa(int(n))+": must be between 1 and 65535")
	}
	proto, protoOK := protocolOf(protocol)
	if !protoOK {
		must := `must be "TCP", "UDP" or "SCTP"`
		if upper := corev1.Protocol(strings.ToUpper(string(protocol))); upper != protocol {
			if _, ok := protocolOf(upper); ok {
				must = "must be " + strconv.Quote(string(upper)) + ", in capitals"
			}
		}
		f.add(path()+".protocol", "Unsupported value: "+strconv.Quote(string(protocol))+": "+must)
	}
	return number, proto, numberOK && protoOK
}

// portName adds a problem at path if name is no valid port name.
func (f *problemList) portName(name, path string) {
	for _, m := range validation.IsValidPortName(name) {
		if _, err := strconv.Atoi(name); err == nil {
			f.add(path, "Invalid value: "+strconv.Quote(name)+": the quotes make it a name, and a name "+m+"; write "+
				name+" without quotes")
			return
		}
		f.add(path, "Invalid value: "+strconv.Quote(name)+": "+m)
	}
}
