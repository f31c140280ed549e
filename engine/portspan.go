package engine

// A portSpan is a range of ports, of one protocol or of all. Both ends are included.
type portSpan struct {
	first, last protocolPort
	// reach is the greatest last port of the tree of which this range is the root; see [setReach].
	reach protocolPort
}

// fewRanges is the number of ranges up to which trying all is faster than a search.
const fewRanges = 8

// setReach makes a tree of ranges that are sorted by first port, and returns their greatest last port. span returns
// the span of a range.
//
//	root:   ranges[len/2], with the reach of all
//	left:   the tree of ranges[:len/2], which begin no later
//	right:  the tree of ranges[len/2+1:], which begin no earlier
//
// A search for the ranges that have a port passes by every tree whose reach is below it, and by the right of every
// range that begins after it. So a range of nearly all ports beside thousands of narrow ones costs no more than the
// others.
func setReach[R any](ranges []R, span func(*R) *portSpan) (reach protocolPort) {
	if len(ranges) == 0 {
		return 0
	}
	mid := len(ranges) / 2
	root := span(&ranges[mid])
	root.reach = max(root.last, setReach(ranges[:mid], span), setReach(ranges[mid+1:], span))
	return root.reach
}
