// Package names checks the names of namespaces and container ports, and the keys and values of labels. It is
// for questions about objects that need not exist: such a question has no answer if no such object can exist.
//
// Each function returns what is wrong, for people, or "" if nothing is. They accept exactly what
// k8s.io/apimachinery/pkg/util/validation accepts.
package names

import (
	"strconv"
	"strings"
)

// The longest names that Kubernetes accepts, in bytes.
const (
	maxLabel     = 63
	maxSubdomain = 253
	maxPort      = 15
)

// Namespace checks the name of a namespace, a label of RFC 1123.
func Namespace(name string) string {
	switch {
	case name == "":
		return "is required"
	case len(name) > maxLabel:
		return tooLong(name, "a namespace's name", maxLabel)
	case !isDNSLabel(name):
		return `is not the name of a namespace; it has a-z, 0-9 and "-", and begins and ends with a letter or digit`
	}
	return ""
}

// LabelKey checks the key of a label: a name, optionally with a DNS subdomain and "/" before it.
func LabelKey(key string) string {
	name := key
	if prefix, rest, ok := strings.Cut(key, "/"); ok {
		name = rest
		if len(prefix) > maxSubdomain || !isDNSSubdomain(prefix) {
			return `is not the key of a label; before its "/" belongs a DNS name of at most 253 bytes, such as example.com`
		}
	}
	switch {
	case len(name) > maxLabel:
		return tooLong(name, "the name in a label's key", maxLabel)
	case !isLabelWord(name):
		return `is not the key of a label; ` + labelWords
	}
	return ""
}

// LabelValue checks the value of a label, which may be empty.
func LabelValue(value string) string {
	switch {
	case len(value) > maxLabel:
		return tooLong(value, "a label's value", maxLabel)
	case value != "" && !isLabelWord(value):
		return "is not the value of a label; " + labelWords
	}
	return ""
}

const labelWords = `it has letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`

// Port checks the name of a container port, a service name of RFC 6335 in lower case.
func Port(name string) string {
	if name == "" {
		return `is required: the port's name, for example "http"`
	}
	if len(name) > maxPort {
		return tooLong(name, "a port's name", maxPort)
	}
	letters := 0
	for i := range len(name) {
		switch c := name[i]; {
		case isLower(c):
			letters++
		case isDigit(c):
		case c == '-' && 0 < i && i < len(name)-1 && name[i-1] != '-':
		default:
			return wrongPort
		}
	}
	if letters == 0 {
		return wrongPort
	}
	return ""
}

const wrongPort = `is not the name of a port; it has a-z, 0-9 and single "-" between them, and at least one letter`

func tooLong(s, what string, limit int) string {
	return "is " + strconv.Itoa(len(s)) + " bytes long; " + what + " has at most " + strconv.Itoa(limit)
}

// isDNSLabel reports whether s is a DNS label of any length: labels of a subdomain have no limit of their
// own.
func isDNSLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLower(c) && !isDigit(c) && (c != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != ""
}

func isDNSSubdomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !isDNSLabel(label) {
			return false
		}
	}
	return true
}

// isLabelWord reports whether s is the name in a label key, or a label value, of any length.
func isLabelWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if isLower(c) || 'A' <= c && c <= 'Z' || isDigit(c) {
			continue
		}
		if i == 0 || i == len(s)-1 || c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != ""
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
