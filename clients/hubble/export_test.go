package hubble

import "time"

// Impatient returns options that wait for little: it suits servers that break at once.
func (o Options) Impatient() Options {
	o.timing = timing{
		answer: 200 * time.Millisecond, silence: 20 * time.Millisecond,
		firstPause: time.Millisecond, longestPause: 20 * time.Millisecond, late: time.Millisecond,
	}
	return o
}

// RecordOf is record.
var RecordOf = record
