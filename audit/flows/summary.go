package flows

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// DefaultMaxPairs is how many pairs a [Summary] keeps. They take some 20 MB.
const DefaultMaxPairs = 1 << 16

// A Summary counts judged records (F6). Its memory does not grow with their number: beyond [DefaultMaxPairs]
// pairs it keeps the most frequent ones, and those that disagree before all others. It is not safe for
// concurrent use.
type Summary struct {
	// Records are all, Asked those that were asked.
	Records, Asked uint64
	// Allowed and Denied count verdicts. Records that are Unresolved have none.
	Allowed, Denied uint64
	// Agrees, Disagrees and NotCompared count what was asked.
	Agrees, Disagrees, NotCompared uint64
	// Span is that of the flows, and Older counts the flows before NewestPolicy (F5). Both are of flows within
	// the window that have a time.
	Span  Span
	Older uint64

	newestPolicy time.Time
	byWhy        map[Why]uint64
	policies     map[Policy]*PolicyCount
	pairs        pairs
}

// A PolicyCount is what a policy did with the records.
type PolicyCount struct {
	Policy
	// Allowed and Denied count the records that it allowed or denied, Disagrees those of both that disagree.
	Allowed, Denied, Disagrees uint64
}

// NewSummary returns a Summary of no records. newestPolicy is when the newest policy of the snapshot was
// created; zero if that is not known. maxPairs is how many pairs to keep; 0 for [DefaultMaxPairs].
func NewSummary(newestPolicy time.Time, maxPairs int) *Summary {
	return &Summary{
		newestPolicy: newestPolicy, byWhy: map[Why]uint64{}, policies: map[Policy]*PolicyCount{},
		pairs: pairs{most: cmp.Or(maxPairs, DefaultMaxPairs), known: map[pairKey]*Pair{}},
	}
}

// Skip counts a record that is not asked, and why.
func (s *Summary) Skip(r *Record, why Why) {
	s.Records++
	s.byWhy[why]++
	if why != Malformed && why != NotAFlow && why != OutOfTime {
		s.countTime(r)
	}
}

// Add counts a record that was asked, with its answer and what came of it.
func (s *Summary) Add(r *Record, a *Answer, j Judgement) {
	s.Records++
	s.Asked++
	s.countTime(r)
	switch j.Compared {
	case Agrees:
		s.Agrees++
	case Disagrees:
		s.Disagrees++
	case NotCompared:
		s.NotCompared++
		s.byWhy[j.Why]++
	}
	if j.Why == Unresolved {
		return
	}
	allowed := a.Reason.Allowed()
	if allowed {
		s.Allowed++
	} else {
		s.Denied++
	}
	for _, p := range a.Policies {
		s.countPolicy(p, allowed, j.Compared == Disagrees)
	}
	s.pairs.add(r, a, j)
}

func (s *Summary) countTime(r *Record) {
	if r.Time.IsZero() {
		return
	}
	s.Span.Add(r.Time)
	if r.isBefore(s.newestPolicy) {
		s.Older++
	}
}

func (s *Summary) countPolicy(p Policy, allowed, disagrees bool) {
	c := s.policies[p]
	if c == nil {
		c = &PolicyCount{Policy: p}
		s.policies[p] = c
	}
	if allowed {
		c.Allowed++
	} else {
		c.Denied++
	}
	if disagrees {
		c.Disagrees++
	}
}

// ByWhy returns how many records were not asked or not compared, by reason.
func (s *Summary) ByWhy() map[Why]uint64 { return maps.Clone(s.byWhy) }

// NewestPolicy returns when the newest policy of the snapshot was created; zero if that is not known.
func (s *Summary) NewestPolicy() time.Time { return s.newestPolicy }

// ByPolicy returns the policies that decided, by kind, namespace and name.
func (s *Summary) ByPolicy() []PolicyCount {
	list := make([]PolicyCount, 0, len(s.policies))
	for _, c := range s.policies {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b PolicyCount) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Pairs returns at most n pairs: those that disagree first, by how often they do, then the most frequent.
func (s *Summary) Pairs(n int) []Pair { return s.pairs.top(n) }

// PairsTotal returns how many pairs there are. exact reports whether all were kept; if not, nobody knows how
// many there are, and the counts of pairs are the least that they can be.
func (s *Summary) PairsTotal() (total int, exact bool) { return len(s.pairs.known), !s.pairs.lossy }
