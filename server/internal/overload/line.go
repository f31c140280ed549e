package overload

import "slices"

// A queue has those who wait, in a line for each caller. Callers take turns, whatever the length of their lines.
type queue struct {
	// lines has those that are not empty, in the order of their turns.
	lines []*line
	n     int
}

// A line has those of one caller who wait.
type line struct{ waiters []*waiter }

// at returns the index of the line of a caller; -1 if it has none.
func (q *queue) at(of *account) int {
	return slices.IndexFunc(q.lines, func(l *line) bool { return l.waiters[0].of == of })
}

// lenOf returns how many of a caller wait.
func (q *queue) lenOf(of *account) int {
	if at := q.at(of); at >= 0 {
		return len(q.lines[at].waiters)
	}
	return 0
}

// push adds a waiter to the end of its caller's line.
func (q *queue) push(w *waiter) {
	q.n++
	if at := q.at(w.of); at >= 0 {
		q.lines[at].waiters = append(q.lines[at].waiters, w)
		return
	}
	q.lines = append(q.lines, &line{[]*waiter{w}})
}

// pop removes the first waiter of the next line, which then is the last. There must be one.
func (q *queue) pop() *waiter {
	l := q.lines[0]
	q.lines = slices.Delete(q.lines, 0, 1)
	w := l.waiters[0]
	l.waiters = slices.Delete(l.waiters, 0, 1)
	q.n--
	if len(l.waiters) > 0 {
		q.lines = append(q.lines, l)
	}
	return w
}

// remove removes a waiter, and reports whether it was there.
func (q *queue) remove(w *waiter) bool {
	at := q.at(w.of)
	if at < 0 {
		return false
	}
	l := q.lines[at]
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return false
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	q.n--
	if len(l.waiters) == 0 {
		q.lines = slices.Delete(q.lines, at, at+1)
	}
	return true
}
