// Package convert turns Kubernetes objects into the engine's. It is the one place that does: files and informers give the
// same cluster.
//
// Every function applies the API server's defaults, retains nothing of the object that it is given but strings, and is safe
// to call from several goroutines. What it can not read it leaves out and reports as a [mirror.Problem] without File: an
// address or a port that is wrong names nothing. A NetworkPolicy is never read more openly than it was meant: see [Policy].
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

// findings collects what is wrong in one object. Its zero list allocates nothing, as most objects are right.
type findings struct {
	kind, namespace, name string
	list                  []mirror.Problem
}

func (f *findings) add(field, message string) {
	f.list = append(f.list, mirror.Problem{Kind: f.kind, Namespace: f.namespace, Name: f.name, Field: field, Message: message})
}

func (f *findings) warn(field, message string) {
	f.add(field, message)
	f.list[len(f.list)-1].Warning = true
}

// intern gives equal strings one memory: a cluster says the same few names and labels a hundred thousand times.
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

// protocolOf reads a protocol, which is TCP where it is left out (S20, S22).
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

// portOf narrows a port number, after looking whether it is one.
func portOf(n int32) (uint16, bool) {
	if n < 1 || n > 65535 {
		return 0, false
	}
	return uint16(n), true
}

// port reads a number and a protocol that stand at a path of the object, and reports those that are none.
func (f *findings) port(n int32, protocol corev1.Protocol, path func() string, numberField string) (uint16, engine.Protocol, bool) {
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

// portName reports a name that no port can have, at a path of the object.
func (f *findings) portName(name, path string) {
	for _, m := range validation.IsValidPortName(name) {
		if _, err := strconv.Atoi(name); err == nil {
			f.add(path, "Invalid value: "+strconv.Quote(name)+": the quotes make it a name, and a name "+m+"; write "+name+" without quotes")
			return
		}
		f.add(path, "Invalid value: "+strconv.Quote(name)+": "+m)
	}
}
