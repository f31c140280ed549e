package engine

// PairsBetween is how many pairs are decided before goOn of [Snapshot.AllowedWhile] is asked again. They take
// about a tenth of a millisecond.
const PairsBetween = 1024

// A pace counts the pairs of one question, so that it gives others their turn.
type pace struct {
	// goOn is asked whether to go on; nil if nothing ends the question.
	goOn  func() bool
	pairs int
}

// next counts a pair, and reports whether to decide it.
func (p *pace) next() bool {
	p.pairs++
	return p.pairs%PairsBetween != 0 || p.goOn == nil || p.goOn()
}
