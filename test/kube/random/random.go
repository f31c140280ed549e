// Package random makes random Kubernetes objects whose names, labels, addresses and ports collide, so that small clusters have
// much to decide. Equal seeds give equal sequences.
package random

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Random is one sequence. It is not safe for concurrent use.
type Random struct {
	rand *rand.Rand
	// Wrong is the percentage of fields of policies that get a value which the API server may refuse.
	Wrong int
}

// New is a sequence of a seed, in which nothing is wrong.
func New(seed uint64) *Random {
	return &Random{rand: rand.New(rand.NewPCG(seed, 0x6b756265))}
}

// Chance is true in percent of a hundred cases.
func (r *Random) Chance(percent int) bool { return r.rand.IntN(100) < percent }

// IntN is at least 0 and below n.
func (r *Random) IntN(n int) int { return r.rand.IntN(n) }

// Pick picks one.
func Pick[T any](r *Random, list ...T) T { return list[r.rand.IntN(len(list))] }

// wrong picks a wrong value now and then, else a right one.
func wrong[T any](r *Random, right, bad []T) T {
	if r.Chance(r.Wrong) {
		return Pick(r, bad...)
	}
	return Pick(r, right...)
}

// some makes up to most.
func some[T any](r *Random, most int, make func() T) []T {
	var list []T
	for range r.rand.IntN(most + 1) {
		list = append(list, make())
	}
	return list
}

// Namespace is the name of one of a few namespaces.
func (r *Random) Namespace() string { return Pick(r, "a", "b", "c") }

// Node is the name of one of a few Nodes.
func (r *Random) Node() string { return Pick(r, "n1", "n2", "n3") }

// Labels are of a few keys and values.
func (r *Random) Labels() map[string]string {
	labels := map[string]string{}
	for range r.rand.IntN(4) {
		labels[Pick(r, "app", "tier", "env")] = Pick(r, "x", "y", "z", "")
	}
	return labels
}

// PodIPs are none, one, or one of each family, out of a few.
func (r *Random) PodIPs() []string {
	n := 1 + r.rand.IntN(24)
	v4, v6 := fmt.Sprintf("10.0.0.%d", n), fmt.Sprintf("fd00::%x", n)
	switch k := r.rand.IntN(10); {
	case k == 0:
		return nil
	case k < 3:
		return []string{v6}
	case k < 6:
		return []string{v4, v6}
	default:
		return []string{v4}
	}
}

// NodeIPs are the addresses of a Node.
func NodeIPs(node string) []string {
	n := strings.TrimPrefix(node, "n")
	return []string{"192.168.0." + n, "fd00:1::" + n}
}

func (r *Random) portNumber() int32 { return Pick[int32](r, 80, 443, 8080, 8081, 9090, 1, 65535) }
