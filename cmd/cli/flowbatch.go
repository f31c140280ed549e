package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/netpold/netpold/audit/flows"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// flowsAtOnce is how many records are asked at once.
	flowsAtOnce = 1000
	// flowBatches is how many batches there are: being read, waiting, on their way to a server and back, and
	// being judged. So many records are held, and no more.
	flowBatches = 8
	// flowBytes is how many bytes of words and questions a batch has before its last record: records in words may
	// be as long as 1 MiB.
	flowBytes = 1 << 20
	// flowsOnTheirWay is how many batches are asked before the answers to the first are there.
	flowsOnTheirWay = 4
)

// A flowBatch is records and their questions. It is used again.
type flowBatch struct {
	records []flows.Record // flowsAtOnce of them
	items   []flowItem     // one for each record that was read
	// questions are those by address.
	questions []netpold.Question
	// bytes are those of words and questions.
	bytes int
	// err ended the input, after the records; nil if there is more.
	err error
}

// A flowItem is what becomes of a record.
type flowItem struct {
	// why it is not asked; empty if it is.
	why flows.Why
	key flowKey
	// question is the index among the questions by address, or -1; then request is what is asked.
	question int
	request  *netpoldv1.AllowedRequest
	answer   *flowAnswer
	// dropped means that a record without a verdict is of a drop for another reason than a policy.
	dropped bool
}

// A flowKey is a question as a key of a map: by addresses or, if words is not empty, by words.
type flowKey struct {
	src, dst netip.Addr
	words    string
	port     uint16
	protocol engine.Protocol
}

// readFlows fills batches from free and passes them on to full, until the input ends or ctx does. It closes
// full.
func readFlows(ctx context.Context, from flowSource, window flows.Window, free <-chan *flowBatch,
	full chan<- *flowBatch) {
	defer close(full)
	for {
		var b *flowBatch
		select {
		case b = <-free:
		case <-ctx.Done():
			return
		}
		b.read(from, window)
		ended := b.err != nil
		full <- b // there is room for all
		if ended {
			return
		}
	}
}

// read reads records until the batch is full, or until reading on may block.
func (b *flowBatch) read(from flowSource, window flows.Window) {
	if b.bytes > flowBytes {
		clear(b.records) // They would hold what is long until all are used again.
	}
	b.items, b.questions, b.bytes, b.err = b.items[:0], b.questions[:0], 0, nil
	for len(b.items) < len(b.records) && b.bytes <= flowBytes {
		r := &b.records[len(b.items)]
		if b.err = from.Next(r); b.err != nil {
			return
		}
		b.bytes += len(r.Src.Word) + len(r.Dst.Word) + len(r.Question)
		b.items = append(b.items, b.item(r, window))
		b.items[len(b.items)-1].dropped = from.tellsDrops() && r.Observed == flows.NotObserved
		if from.Waits() {
			return
		}
	}
}

// item returns the question of a record, or why there is none.
func (b *flowBatch) item(r *flows.Record, window flows.Window) flowItem {
	if why := window.NotAsked(r); why != "" {
		return flowItem{why: why}
	}
	item := flowItem{question: -1}
	switch {
	case len(r.Question) > 0:
		item.request = decisionQuestion(r)
	case !r.Src.IP.IsValid() || !r.Dst.IP.IsValid():
		item.request = wordsQuestion(r)
	}
	if r.Why == flows.Malformed { // found out just now
		return flowItem{why: r.Why}
	}
	if r.Src.IP.IsValid() && r.Dst.IP.IsValid() && r.Port != 0 {
		item.key = flowKey{src: r.Src.IP, dst: r.Dst.IP, port: r.Port, protocol: r.Protocol}
		item.question, item.request = len(b.questions), nil
		b.questions = append(b.questions, netpold.Question{
			Src: r.Src.IP, Dst: r.Dst.IP, Port: r.Port, Protocol: protocols[r.Protocol],
		})
		return item
	}
	if item.request == nil { // no reader makes such a record
		r.Why, r.Problem = flows.Malformed, "port: 0 is not a port; give 1 to 65535"
		return flowItem{why: r.Why}
	}
	item.key = flowKey{port: r.Port, protocol: r.Protocol}
	item.key.words = netpold.FormatEndpoint(item.request.GetSrc()) + " " + netpold.FormatEndpoint(item.request.GetDst())
	if len(r.Question) > 0 {
		// An endpoint may be nothing that words can say.
		item.key.words = string(r.Question)
	}
	return item
}

// wordsQuestion returns the question of a record with an end in words. It makes the record Malformed if they
// are no words of check.
func wordsQuestion(r *flows.Record) *netpoldv1.AllowedRequest {
	q := &netpoldv1.AllowedRequest{Port: uint32(r.Port), Protocol: protocols[r.Protocol], Details: true}
	for _, end := range []struct {
		field string
		of    *flows.End
		to    **netpoldv1.Endpoint
	}{{"src", &r.Src, &q.Src}, {"dst", &r.Dst, &q.Dst}} {
		if end.of.IP.IsValid() {
			*end.to = netpold.IP(end.of.IP.String())
			continue
		}
		endpoint, err := netpold.ParseEndpoint(end.of.Word)
		if err != nil {
			r.Why, r.Problem = flows.Malformed, end.field+": "+wordsProblem(end.of.Word, err)
			return nil
		}
		*end.to = endpoint
	}
	return q
}

// wordsProblem returns what is wrong with words, and repeats not all of long ones.
func wordsProblem(word string, err error) string {
	problem := err.Error()
	if len(word) <= maxQuoted {
		return problem
	}
	short := strings.ToValidUTF8(word[:maxQuoted], "?")
	problem = strings.ReplaceAll(problem, strconv.Quote(word), strconv.Quote(short)+"...")
	if len(problem) > 4*maxQuoted { // a part of it is long too
		return fmt.Sprintf("endpoint %q... has %d bytes, and is none: give words of 'netpold check'", short, len(word))
	}
	return problem
}

// decisionQuestion returns the question of a decision, and fills the record by it. It makes the record
// Malformed if it is none.
func decisionQuestion(r *flows.Record) *netpoldv1.AllowedRequest {
	q := new(netpoldv1.AllowedRequest)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(r.Question, q); err != nil {
		r.Why, r.Problem = flows.Malformed, "question: is no AllowedRequest: "+protojsonError(err)
		return nil
	}
	q.AtLeast, q.Details = "", true // what it waited for then is over
	r.Src, r.Dst = decisionEnd(q.GetSrc()), decisionEnd(q.GetDst())
	if q.GetPort() <= math.MaxUint16 {
		r.Port = uint16(q.GetPort())
	}
	switch q.GetProtocol() {
	case netpoldv1.Protocol_PROTOCOL_UDP:
		r.Protocol = engine.UDP
	case netpoldv1.Protocol_PROTOCOL_SCTP:
		r.Protocol = engine.SCTP
	case netpoldv1.Protocol_PROTOCOL_TCP, netpoldv1.Protocol_PROTOCOL_UNSPECIFIED:
		r.Protocol = engine.TCP
	default:
		r.Src.IP = netip.Addr{} // it is asked as it is, and is an error
	}
	return q
}

// decisionEnd returns an endpoint as the end of a record.
func decisionEnd(e *netpoldv1.Endpoint) flows.End {
	end := flows.End{Word: netpold.FormatEndpoint(e)}
	if ip, ok := e.GetEndpoint().(*netpoldv1.Endpoint_Ip); ok {
		if addr, err := netip.ParseAddr(ip.Ip); err == nil && addr.Zone() == "" {
			end.IP = addr.Unmap()
		}
	}
	return end
}

// isEnd reports whether the error of a source is its end.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
