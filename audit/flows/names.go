package flows

import "hash/maphash"

// maxName is the longest text that names remembers, in bytes; Kubernetes' names are shorter.
const maxName = 256

// names turns bytes into strings without allocating for those seen of late: records name the same Pods and
// policies again and again. Its memory is bounded.
type names struct {
	seed  maphash.Seed
	table [1 << 15]string
}

func newNames() *names { return &names{seed: maphash.MakeSeed()} }

// text returns b as a string.
func (n *names) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxName {
		return string(b)
	}
	slot := &n.table[maphash.Bytes(n.seed, b)%uint64(len(n.table))]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
