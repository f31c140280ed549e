// Package assertion reads and writes assertions: what somebody claims that the policies of a cluster allow
// and deny.
//
// An assertion is one line:
//
//	deploy/shop/frontend -> svc/shop/cart 7070/TCP = allowed
//	deploy/shop/frontend -> shop/redis-0 6379 = denied by shop/default-deny   # carts alone
//	any -> deploy/shop/cart 80,443,8080 = denied
//
// or an item of a YAML document; see [Parse]. The package knows nothing of where answers come from.
package assertion

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Any is the word for every address outside the cluster.
const Any = "any"

// Assertion claims that all of its ports are allowed, or that all are denied.
type Assertion struct {
	// Line is where it begins in its file, from 1.
	Line int
	Src  End
	Dst  End
	// Ports has at least one.
	Ports []Port
	// Allowed is what is claimed.
	Allowed bool
	// By names the NetworkPolicy, "namespace/name", that isolates the side that denies, or the cluster-wide
	// policy, "Kind/name", whose rule denies. It is empty for any.
	By string
}

// End is one end of an assertion: an endpoint in words, or any address outside.
type End struct {
	// Words are as written.
	Words string
	// Endpoint is nil for any address outside.
	Endpoint *netpoldv1.Endpoint
}

// Port is a destination port.
type Port struct {
	// Number is 1 to 65535.
	Number   uint32
	Protocol netpoldv1.Protocol
}

// String returns the port as an assertion has it: 7070/TCP.
func (p Port) String() string {
	return fmt.Sprintf("%d/%s", p.Number, strings.TrimPrefix(p.Protocol.String(), "PROTOCOL_"))
}

// String returns the assertion as a line that [Parse] reads.
func (a *Assertion) String() string {
	ports := make([]string, len(a.Ports))
	for i, p := range a.Ports {
		ports[i] = p.String()
	}
	return fmt.Sprintf("%s -> %s %s = %s", a.Src.Words, a.Dst.Words, strings.Join(ports, ","), a.Claim())
}

// Claim returns what is claimed: "allowed", "denied", "denied by NAMESPACE/NAME" or "denied by KIND/NAME".
func (a *Assertion) Claim() string {
	switch {
	case a.Allowed:
		return "allowed"
	case a.By != "":
		return "denied by " + a.By
	}
	return "denied"
}

// parseEnd reads an endpoint in words, or any.
func parseEnd(words string) (End, error) {
	if words == Any {
		return End{Words: words}, nil
	}
	endpoint, err := netpold.ParseEndpoint(words)
	return End{Words: words, Endpoint: endpoint}, err
}

// parsePorts reads ports with commas between them. A port without a protocol is TCP. It is rejected when the
// nearest port with a protocol, before or after it, is not TCP: in 80,443/UDP nobody knows whether UDP is
// meant for both.
func parsePorts(text string) ([]Port, error) {
	var ports []Port
	words := strings.Split(text, ",")
	for _, word := range words {
		port, err := parsePort(word)
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	for i, word := range words {
		if strings.Contains(word, "/") {
			continue
		}
		for _, near := range []int{nearestProtocol(words, i, -1), nearestProtocol(words, i, 1)} {
			if near >= 0 && ports[near].Protocol != netpoldv1.Protocol_PROTOCOL_TCP {
				return nil, fmt.Errorf("ports %q: %s has a protocol and %s has none: "+
					"give each its own, as %s/TCP", text, words[near], word, word)
			}
		}
	}
	return ports, nil
}

// nearestProtocol returns the index of the next word with a protocol, going from i by step; -1 for none.
func nearestProtocol(words []string, i, step int) int {
	for i += step; 0 <= i && i < len(words); i += step {
		if strings.Contains(words[i], "/") {
			return i
		}
	}
	return -1
}

func parsePort(word string) (Port, error) {
	number, protocol, hasProtocol := strings.Cut(word, "/")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || number[0] == '+' {
		return Port{}, fmt.Errorf("port %q: write a number from 1 to 65535, as 7070 or 53/UDP, "+
			"several with commas", word)
	}
	p, err := netpold.ParseProtocol(protocol)
	if err != nil || hasProtocol && protocol == "" {
		return Port{}, fmt.Errorf("port %q: write TCP, UDP or SCTP after the slash", word)
	}
	return Port{Number: uint32(n), Protocol: p}, nil
}

// clusterKinds are the kinds of policy that have no namespace. No namespace has capitals.
var clusterKinds = []string{"ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"}

// parsePolicy checks a policy's name.
func parsePolicy(text string) (string, error) {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", fmt.Errorf("policy %q: write its namespace and name, as shop/default-deny, or the kind and "+
			"name of a cluster-wide policy, as ClusterNetworkPolicy/no-db", text)
	}
	if slices.Contains(clusterKinds, namespace) {
		return text, nil
	}
	meant := nearestKind(namespace)
	if meant == "" && strings.ToLower(namespace) == namespace {
		return text, nil
	}
	err := fmt.Sprintf("policy %q: %q is no namespace and none of the kinds %s", text, namespace,
		strings.Join(clusterKinds, ", "))
	if meant != "" {
		err += fmt.Sprintf(": did you mean %s/%s?", meant, name)
	}
	return "", errors.New(err)
}

// nearestKind returns the cluster-wide kind that was probably meant by a word in another case or the plural,
// or by one with capitals and a slip; "" for none.
func nearestKind(word string) string {
	lower := strings.ToLower(word)
	for _, kind := range clusterKinds {
		plural := strings.TrimSuffix(strings.ToLower(kind), "y") + "ies"
		if lower == strings.ToLower(kind) || lower == plural {
			return kind
		}
	}
	if lower == word { // a namespace
		return ""
	}
	return names.Nearest(word, slices.Values(clusterKinds))
}
