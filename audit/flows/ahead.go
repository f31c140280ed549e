package flows

import (
	"errors"
	"io"
	"iter"
)

// How much is read ahead, at most: so many batches of so many records.
const (
	aheadBatches = 4
	aheadRecords = 256
)

// Ahead returns the records of r, which a goroutine of its own reads while the caller uses those before:
// reading takes one core, and asking another. It reads ahead by a bounded queue, and a record is not kept
// back while the source has no more. A record is good until the next turn of the loop. An error, which is
// never io.EOF, comes with no record and is the last.
//
// If the loop is left early, the goroutine ends as soon as the source returns from the read it is in. r is
// not to be used any more.
func (r *Reader) Ahead() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		free, full := make(chan *batch, aheadBatches), make(chan *batch, aheadBatches)
		done := make(chan struct{})
		defer close(done)
		for range aheadBatches {
			free <- new(batch)
		}
		go r.readAhead(free, full, done)
		for b := range full {
			for i := range b.records[:b.count] {
				if !yield(&b.records[i], nil) {
					return
				}
			}
			if b.err != nil && !errors.Is(b.err, io.EOF) {
				yield(nil, b.err)
				return
			}
			free <- b
		}
	}
}

// A batch is what goes through the queue at once.
type batch struct {
	records [aheadRecords]Record
	count   int
	// err ended reading, after the records.
	err error
}

func (r *Reader) readAhead(free <-chan *batch, full chan<- *batch, done <-chan struct{}) {
	defer close(full)
	for {
		select {
		case <-done:
			return
		case b := <-free:
			b.fill(r)
			ended := b.err != nil
			full <- b // There is always room: there are no more batches than that.
			if ended {
				return
			}
		}
	}
}

// fill reads until the batch is full, or until reading on may have to wait.
func (b *batch) fill(r *Reader) {
	b.count, b.err = 0, nil
	for b.count < len(b.records) {
		if b.err = r.Next(&b.records[b.count]); b.err != nil {
			return
		}
		b.count++
		if r.Waits() {
			return
		}
	}
}
