package hubble

import "time"

// Impatient returns options that hardly rest, but wait for answers: it suits servers that break.
func (o Options) Impatient() Options {
	o.timing = timing{
		answer: 30 * time.Second, silence: 20 * time.Millisecond,
		firstPause: time.Millisecond, longestPause: 20 * time.Millisecond, late: time.Millisecond,
	}
	return o
}

// Answered returns options that wait so long for answers: it suits servers that hang.
func (o Options) Answered(within time.Duration) Options {
	o.timing.answer = within
	return o
}

// RecordOf is record.
var RecordOf = record
