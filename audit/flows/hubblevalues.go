package flows

import (
	"fmt"
	"time"
)

// flag reads true or false, and reports whether it was there.
func (h *hubbleReader) flag(field string) (value, told bool) {
	text := h.scalar(field)
	switch string(text) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	if text != nil && h.problem == "" {
		h.reject(fmt.Sprintf("%s: %s is neither true nor false; give one of them", field, quotedBytes(text)))
	}
	return false, false
}

// time reads a time as protojson writes it. Releases before 0.6 wrote {"seconds":...,"nanos":...}.
func (h *hubbleReader) time() time.Time {
	if h.peek() == '{' {
		return h.secondsAndNanos()
	}
	text := h.scalar("time")
	if len(text) == 0 {
		return time.Time{}
	}
	t, err := timestamp(text)
	if err != nil && h.problem == "" {
		h.reject(timeProblem(text, err))
	}
	return t
}

func (h *hubbleReader) secondsAndNanos() time.Time {
	var seconds, nanos uint64
	for more := h.object("time"); more; more = h.next('}') {
		switch string(h.key()) {
		case "seconds":
			seconds = h.count("time.seconds", maxUnix)
		case "nanos":
			nanos = h.count("time.nanos", 999_999_999)
		default:
			h.skip()
		}
	}
	return time.Unix(int64(seconds), int64(nanos)).UTC()
}

func (h *hubbleReader) count(field string, most uint64) uint64 {
	text := h.scalar(field)
	if text == nil {
		return 0
	}
	n, ok := number(text, most)
	if !ok && h.problem == "" {
		h.reject(fmt.Sprintf("%s: %s is not a number up to %d; %s", field, quotedBytes(text), most, timeRemedy))
	}
	return n
}

// derivedFrom is the label by which releases before 1.17 tell the kind of a policy.
const derivedFrom = "k8s:io.cilium.k8s.policy.derived-from="

// policies appends the names of the policies of an array, as "kind namespace/name" without what is not told.
func (h *hubbleReader) policies(list []string) []string {
	for more := h.array("policies"); more; more = h.next(']') {
		var kind, labelled, namespace, name []byte
		for more := h.object("policies"); more; more = h.next('}') {
			switch string(h.key()) {
			case "kind":
				kind = h.scalar("kind")
			case "namespace":
				namespace = h.scalar("namespace")
			case "name":
				name = h.scalar("name")
			case "labels":
				for more := h.array("labels"); more; more = h.next(']') {
					if text := h.scalar("labels"); len(text) > len(derivedFrom) &&
						string(text[:len(derivedFrom)]) == derivedFrom {
						labelled = text[len(derivedFrom):]
					}
				}
			default:
				h.skip()
			}
		}
		if len(kind) == 0 {
			kind = labelled
		}
		if len(name) > 0 {
			list = append(list, h.policyName(kind, namespace, name))
		}
	}
	return list
}

func (h *hubbleReader) policyName(kind, namespace, name []byte) string {
	var room [maxName]byte
	full := append(room[:0], kind...)
	if len(kind) > 0 {
		full = append(full, ' ')
	}
	if len(namespace) > 0 {
		full = append(append(full, namespace...), '/')
	}
	return h.names.text(append(full, name...))
}
