package netpold

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// maxLanes is how many servers are asked at once. A stream is opened now and then to find more of them: soon after
// something has changed, then less often, and in the end every probeEvery.
// stalledAfter is how long a batch may be without an answer before the stream is given up, once a caller ran out of time.
// A stream to a stale server is given up at most every retireEvery.
const (
	maxLanes     = 16
	probeSoon    = 100 * time.Millisecond
	probeEvery   = 30 * time.Second
	stalledAfter = time.Second
	retireEvery  = time.Second
)

// A lane is one stream of a gatherer. Its fields are guarded by the lock of the gatherer, but for questions, which belong
// to who sends.
type lane struct {
	// stream is nil while it is being opened.
	stream *Stream
	// server is the address of the other end.
	server string
	// batches are those without an answer, the oldest first.
	batches []batch
	// sending reports whether a goroutine is about to send. Only one may.
	sending bool
	// ended means that the stream takes no more questions. silent means that it was given up since nothing came on it.
	ended     bool
	silent    bool
	questions []Question
	// unused are slices of batches that were answered.
	unused [][]*waiter
}

// A batch is questions that were sent together.
type batch struct {
	waiters []*waiter
	sent    time.Time
}

// takes reports whether the stream may take a batch now.
func (l *lane) takes() bool {
	return l.stream != nil && !l.sending && !l.ended && len(l.batches) < maxOpen
}

// open opens a stream after a delay.
func (g *gatherer) open(delay time.Duration) {
	l := &lane{}
	g.lanes = append(g.lanes, l)
	g.running.Add(1)
	go g.run(l, delay)
}

// probe opens one stream more, to see if it leads to another server, unless one is on its way.
func (g *gatherer) probe() {
	if !g.probing && len(g.lanes) < maxLanes && !g.closed {
		g.probing, g.probed = true, time.Now()
		g.open(0)
	}
}

// run opens the stream, and hands out what comes until it ends.
func (g *gatherer) run(l *lane, delay time.Duration) {
	defer g.running.Done()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-g.ctx.Done():
			g.end(l, errClosed())
			return
		}
	}
	stream, err := g.client.Stream(g.ctx)
	if err != nil {
		g.end(l, err)
		return
	}
	defer stream.Close()
	if !g.opened(l, stream) {
		return
	}
	g.send(l)
	for {
		answers, err := stream.Recv()
		if err == nil {
			err = g.answered(l, answers)
			g.resume()
		}
		if err != nil {
			g.end(l, err)
			return
		}
	}
}

// opened makes the stream of a lane known, which the caller must then send on. It reports false if the stream is not
// needed, because another one leads to the same server.
func (g *gatherer) opened(l *lane, stream *Stream) bool {
	server, _ := peer.FromContext(stream.stream.Context())
	g.mu.Lock()
	defer g.mu.Unlock()
	wasProbe := g.probing && len(g.lanes) > 1
	if server != nil && server.Addr != nil {
		l.server = server.Addr.String()
	}
	if len(g.lanes) > 1 && slices.ContainsFunc(g.lanes, func(other *lane) bool {
		return other != l && other.stream != nil && !other.ended && other.server == l.server
	}) {
		g.remove(l)
		g.probing, g.probeAfter = false, min(2*g.probeAfter, probeEvery)
		return false
	}
	l.stream, l.sending = stream, true
	g.probing, g.probeAfter = g.probing && !wasProbe, probeSoon
	return true
}

// send sends the questions that wait, as far as the stream may take them, and then on other streams. l.sending must have been
// set by the caller.
func (g *gatherer) send(l *lane) {
	for {
		taken, left := g.take(l)
		if !taken {
			if left {
				g.resume()
			}
			return
		}
		if l.stream.Send(l.questions) != nil {
			// Recv returns why, and the questions are asked again.
			g.mu.Lock()
			l.sending, l.ended = false, true
			g.mu.Unlock()
			return
		}
	}
}

// resume sends questions that wait although nobody is about to send them.
func (g *gatherer) resume() {
	g.mu.Lock()
	var l *lane
	if len(g.waiting) > 0 && !g.closed {
		l = g.free()
	}
	g.mu.Unlock()
	if l != nil {
		g.send(l)
	}
}

// take moves questions that wait to a batch of the stream. If none can be taken, left reports whether questions wait.
func (g *gatherer) take(l *lane) (taken, left bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.ended || len(l.batches) >= maxOpen || len(g.waiting) == 0 {
		l.sending = false
		return false, len(g.waiting) > 0
	}
	n := min(len(g.waiting), maxGathered)
	b := batch{sent: time.Now()}
	if last := len(l.unused) - 1; last >= 0 {
		b.waiters, l.unused = l.unused[last], l.unused[:last]
	}
	l.questions = l.questions[:0]
	for _, w := range g.waiting[:n] {
		if w.left.Load() {
			g.recycle(w)
			continue
		}
		b.waiters = append(b.waiters, w)
		l.questions = append(l.questions, w.question)
	}
	rest := copy(g.waiting, g.waiting[n:])
	clear(g.waiting[rest:])
	g.waiting = g.waiting[:rest]
	g.makeRoom()
	if len(b.waiters) == 0 {
		l.sending = false
		return false, len(g.waiting) > 0
	}
	l.batches = append(l.batches, b)
	if b.sent.Sub(g.probed) > g.probeAfter {
		g.probe()
	}
	return true, false
}

// errRetired ends a stream to a stale server while another is healthy.
var errRetired = errors.New("the server is stale, and another is not")

// answered hands out the answers to the oldest batch, after it has sent the next. It returns an error if the stream must
// be given up.
func (g *gatherer) answered(l *lane, answers *Answers) error {
	g.mu.Lock()
	b := l.batches[0]
	l.batches = slices.Delete(l.batches, 0, 1)
	g.backoff.Reset()
	next := l.takes() && len(g.waiting) > 0
	if next {
		l.sending = true
	}
	g.mu.Unlock()
	if next {
		g.send(l)
	}
	for i, w := range b.waiters {
		g.finish(w, answers.At(i))
	}
	clear(b.waiters)
	if g.settle(l, b, answers.Stale) {
		return errRetired
	}
	return nil
}

// settle ends the work on a batch, and takes no more questions if the server is stale and another is not. It reports
// whether the stream is no longer needed.
func (g *gatherer) settle(l *lane, b batch, stale bool) (done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.unused = append(l.unused, b.waiters[:0])
	if stale && !l.ended && g.client.healthy.GetState() == connectivity.Ready && time.Since(g.retired) > retireEvery {
		g.retired, l.ended = time.Now(), true
		g.remove(l)
	}
	return l.ended && len(l.batches) == 0
}

// end gives up a stream. Its questions are asked again, on another.
func (g *gatherer) end(l *lane, failure error) {
	g.mu.Lock()
	l.ended = true
	g.remove(l)
	g.probing, g.probeAfter = g.probing && l.stream != nil, probeSoon
	var open []*waiter
	for _, b := range l.batches {
		open = append(open, b.waiters...)
	}
	l.batches = nil
	if l.stream == nil && len(g.lanes) == 0 { // nothing can be opened: that is the fate of all who wait
		open = append(open, g.waiting...)
		g.waiting = nil
		g.makeRoom()
	}
	g.mu.Unlock()

	if l.silent {
		failure = errSilent
	}
	code := status.Code(failure)
	lost := l.silent || errors.Is(failure, io.EOF) || errors.Is(failure, errRetired) || code == codes.Canceled
	g.again(open, failure, lost || code == codes.Unavailable)

	g.mu.Lock()
	if len(g.waiting) > 0 && len(g.lanes) == 0 && !g.closed && !lost {
		g.open(g.backoff.Next(failure))
	}
	g.mu.Unlock()
	g.resume()
}

// remove takes a lane off the list.
func (g *gatherer) remove(l *lane) {
	g.lanes = slices.DeleteFunc(g.lanes, func(other *lane) bool { return other == l })
}

// errSilent is the failure of questions on a stream that was given up.
var errSilent = fromStatus(status.New(codes.Unavailable, "nothing came from the server for "+stalledAfter.String()))

// abandoned gives up streams that are silent, when a caller ran out of time: the connection may be dead without a sign. Those
// are the stream on which w was asked, or all if it had to wait for them. Who had little patience says nothing of a server.
func (g *gatherer) abandoned(ctx context.Context, w *waiter) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	waited := !w.queued.IsZero() && time.Since(w.queued) > stalledAfter
	for _, l := range g.lanes {
		if l.ended || len(l.batches) == 0 || time.Since(l.batches[0].sent) <= stalledAfter {
			continue
		}
		has := func(b batch) bool {
			return (waited || time.Since(b.sent) > stalledAfter) && slices.Contains(b.waiters, w)
		}
		if slices.ContainsFunc(l.batches, has) || waited && slices.Contains(g.waiting, w) {
			l.ended, l.silent = true, true
			l.stream.Close()
		}
	}
}
