package wire

import (
	"sync"
	"unicode/utf8"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Questions are those of a BatchAllowedRequest, read without messages where they are by IP and of the usual form.
type Questions struct {
	// AtLeast is that of the batch.
	AtLeast string
	// Message is the whole batch, if its form is unusual; else nil.
	Message *netpoldv1.BatchAllowedRequest

	// limit is how many are kept of the n questions.
	limit, n int
	list     []asked
	others   []Question
	known    bool
	unusual  bool
}

// An asked is a question of a batch.
type asked struct {
	IPQuery
	// other is the place of the question in others, from 1; 0 if it is by IP.
	other int32
}

// keptQuestions is for how many questions an unused Questions has memory at most.
const keptQuestions = 10_000

var unusedQuestions = sync.Pool{New: func() any { return new(Questions) }}

// TakeQuestions returns questions to read a batch into. Of more than limit they are only counted. They must be given
// back with [Questions.Release].
func TakeQuestions(limit int) *Questions {
	q, _ := unusedQuestions.Get().(*Questions)
	q.limit = limit
	return q
}

// Release lets the questions be used again.
func (q *Questions) Release() {
	list := q.list[:0]
	if cap(list) > keptQuestions {
		list = nil
	}
	*q = Questions{list: list}
	unusedQuestions.Put(q)
}

// Len returns the number of questions.
func (q *Questions) Len() int {
	if q.Message != nil {
		return len(q.Message.GetQuestions())
	}
	return q.n
}

// At returns question i: by IP, or else as a message.
func (q *Questions) At(i int) (*IPQuery, *netpoldv1.AllowedRequest) {
	a := &q.list[i]
	if a.other == 0 {
		return &a.IPQuery, nil
	}
	return nil, q.others[a.other-1].Message
}

// Tokens calls yield with the at_least of each question that may have one, until it returns false.
func (q *Questions) Tokens(yield func(string) bool) {
	for i := range q.others {
		if !yield(q.others[i].Message.GetAtLeast()) {
			return
		}
	}
}

// Read looks at the wire form of the batch and counts its elements: see [netpoldv1.Shape.Elements]. Then
// [Questions.Decode] must follow, with the same bytes.
func (q *Questions) Read(data []byte, most int) (elements, tooLarge int) {
	q.known = true
	left, ended := most, false
	for b := data; len(b) > 0; {
		inner, n := protowire.ConsumeBytes(b[1:])
		switch {
		case n >= 0 && b[0] == tagQuestions && !ended:
			if !q.add(inner, &left) {
				return most - left, q.n
			}
			q.n++
		case n >= 0 && b[0] == tagAtLeast && utf8.Valid(inner):
			q.AtLeast, ended = string(inner), true
		default:
			q.unusual = true
			return batchShape.Elements(data, most)
		}
		b = b[1+n:]
	}
	return most - left, -1
}

// add reads a question, and takes its elements off what is left. It reports whether there may be as many.
func (q *Questions) add(data []byte, left *int) bool {
	var a asked
	inside, tooLarge := endsByIP, -1
	if !readByIP(data, &a.IPQuery) {
		inside, tooLarge = questionShape.Elements(data, max(0, min(*left-1, netpoldv1.MaxQuestionElements)))
		if q.n < q.limit {
			q.others = append(q.others, Question{unread: data, known: true})
			a.other = int32(len(q.others))
		}
	}
	if q.n < q.limit {
		q.list = append(q.list, a)
	}
	*left -= 1 + inside
	return tooLarge < 0 && *left >= 0
}

// Decode makes the messages of the questions that need one. library decodes a batch that is unusual as a whole.
func (q *Questions) Decode(data []byte, library encoding.CodecV2) error {
	if !q.known {
		q.Read(data, int(^uint(0)>>1))
	}
	if !q.unusual && q.n > q.limit {
		return nil // it will be refused
	}
	for i := range q.others {
		if q.unusual = q.unusual || q.others[i].Decode(q.others[i].unread) != nil; q.unusual {
			break // the library's error says what is wrong
		}
	}
	if !q.unusual {
		return nil
	}
	q.Message = new(netpoldv1.BatchAllowedRequest)
	return library.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, q.Message)
}
