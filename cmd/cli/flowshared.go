package cli

import (
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/audit/flows"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A sharedParts has equal parts of answers once: many answers have the same few ends and sides. What is shared
// is also a copy, since a call has its answers in one piece of memory.
type sharedParts struct {
	words    map[string]string
	sides    map[string]*netpoldv1.Side
	policies map[sharedSides][]flows.Policy
}

// A sharedSides is what the policies of an answer follow from.
type sharedSides struct {
	egress, ingress *netpoldv1.Side
	allowed         bool
}

func newSharedParts() sharedParts {
	return sharedParts{map[string]string{}, map[string]*netpoldv1.Side{}, map[sharedSides][]flows.Policy{}}
}

// share replaces the parts of an answer with equal ones of other answers, and finds its policies.
func (s *sharedParts) share(a *flowAnswer) {
	if len(s.words) > flowsRemembered || len(s.sides) > flowsRemembered || len(s.policies) > flowsRemembered {
		*s = newSharedParts()
	}
	for _, word := range []*string{
		&a.src, &a.dst, &a.srcName, &a.dstName, &a.token, &a.Src.Name, &a.Src.Namespace, &a.Src.Pod, &a.Dst.Name,
		&a.Dst.Namespace, &a.Dst.Pod,
	} {
		if len(*word) > wordsRemembered {
			continue
		}
		one, ok := s.words[*word]
		if !ok {
			one = *word
			s.words[one] = one
		}
		*word = one
	}
	a.egress, a.ingress = s.side(a.egress), s.side(a.ingress)
	key := sharedSides{a.egress, a.ingress, a.Reason.Allowed()}
	policies, ok := s.policies[key]
	if !ok {
		policies = sidePolicies(sidePolicies(nil, key.allowed, a.egress), key.allowed, a.ingress)
		s.policies[key] = policies
	}
	a.Policies = policies
}

func (s *sharedParts) side(side *netpoldv1.Side) *netpoldv1.Side {
	if side == nil {
		return nil
	}
	key, err := proto.MarshalOptions{Deterministic: true}.Marshal(side)
	if err != nil {
		return side
	}
	one, ok := s.sides[string(key)]
	if !ok {
		one = proto.CloneOf(side)
		s.sides[string(key)] = one
	}
	return one
}
