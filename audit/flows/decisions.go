package flows

import "fmt"

// decisionsReader reads a line of the decision log of "netpold serve" (section 8 of the contract).
type decisionsReader struct {
	scanner
	rec *Record
}

// read fills rec by a line. A line that counts dropped records is no flow. A default that the answer leaves
// out is false, so that an answer without "allowed" is a denial.
func (d *decisionsReader) read(line []byte, rec *Record) {
	d.reset(line)
	d.rec = rec
	var question []byte
	var dropped, answered, failed bool
	for more := d.enter('{', '}'); more; more = d.next('}') {
		switch string(d.key()) {
		case "time":
			d.time()
		case "question":
			question = d.objectText("question")
		case "answer":
			answered = d.answer()
		case "error":
			failed = d.objectText("error") != nil
		case "dropped":
			dropped = d.scalar("dropped") != nil
		default:
			d.skip()
		}
	}
	d.end()
	rec.Question = append(rec.Question[:0], question...)
	switch {
	case d.problem != "":
		rec.malformed(d.problem)
	case question == nil && dropped:
		rec.Why = NotAFlow
	case question == nil:
		rec.malformed("question: is missing; give lines of the decision log as \"netpold serve\" writes them")
	case !answered && !failed:
		rec.malformed("answer: is missing, and error too; give lines of the decision log as \"netpold serve\" " +
			"writes them")
	case failed:
		rec.Observed = NotObserved
	}
}

// objectText returns an object as it is written; nil for null.
func (d *decisionsReader) objectText(field string) []byte {
	kind := d.peek()
	text := d.raw()
	switch {
	case kind == '{':
		return text
	case kind != 'n' && d.problem == "":
		d.reject(fmt.Sprintf("%s: %s is not an object; give one", field, quotedBytes(text)))
	}
	return nil
}

func (d *decisionsReader) time() {
	text := d.scalar("time")
	if len(text) == 0 {
		return
	}
	t, err := timestamp(text)
	if err != nil {
		d.reject(timeProblem(text, err))
	}
	d.rec.Time = t
}

// answer reads the answer and reports whether there is one.
func (d *decisionsReader) answer() bool {
	there := d.peek() == '{'
	d.rec.Observed = NotObserved
	if there {
		d.rec.Observed = ObservedDenied
	}
	for more := d.object("answer"); more; more = d.next('}') {
		if string(d.key()) != "allowed" {
			d.skip()
			continue
		}
		switch text := d.scalar("answer.allowed"); string(text) {
		case "true":
			d.rec.Observed = ObservedAllowed
		case "false", "":
			d.rec.Observed = ObservedDenied
		default:
			d.reject(fmt.Sprintf("answer.allowed: %s is neither true nor false; give one of them",
				quotedBytes(text)))
		}
	}
	return there
}
