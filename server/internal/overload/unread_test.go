package overload

import (
	"context"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/tap"
)

// A textCodec encodes strings.
type textCodec struct{}

func (textCodec) Name() string { return "proto" }

func (textCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.(string))}, nil
}

func (textCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// Answers count until they are written, small and large ones, or until their connection is closed.
func TestUnreadAnswersCount(t *testing.T) {
	t.Parallel()
	g := New(Options{})
	c := g.track(&fakeConn{from: "10.0.0.1"})
	codec := g.Codec(textCodec{})
	for _, n := range []int{1, smallAnswer, 1 << 20} {
		data, err := codec.Marshal(answerTo(c, string(make([]byte, n))))
		if err != nil || data.Len() != n {
			t.Fatalf("an answer of %d bytes is %d, %v", n, data.Len(), err)
		}
		if held := g.unread.total.Load(); held < int64(n)+answerBytes || held != c.backlog.bytes.Load() {
			t.Errorf("an answer of %d bytes counts as %d, of its connection %d", n, held, c.backlog.bytes.Load())
		}
		data.Free()
		if held := g.unread.total.Load(); held != 0 {
			t.Errorf("after it was written, an answer of %d bytes counts as %d", n, held)
		}
	}
	late, err := codec.Marshal(answerTo(c, "late"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	late.Free()
	if held := g.unread.total.Load(); held != 0 {
		t.Errorf("%d bytes count for a connection that is closed", held)
	}
}

// When all connections have too much to read, the one with the most is closed. One that has much gets no calls.
func TestTheLaziestConnectionGoes(t *testing.T) {
	t.Parallel()
	g := New(Options{Limits: Limits{Memory: 64 << 20}})
	codec := g.Codec(textCodec{})
	raw := map[string]*fakeConn{"10.0.0.1": {from: "10.0.0.1"}, "10.0.0.2": {from: "10.0.0.2"}}
	lazy, slow := g.track(raw["10.0.0.1"]), g.track(raw["10.0.0.2"])
	answer := func(c *Connection) {
		t.Helper()
		if _, err := codec.Marshal(answerTo(c, string(make([]byte, 1<<20)))); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		answer(slow)
	}
	for range 27 {
		answer(lazy)
	}
	if g.refuseUnread(lazy) == nil || g.refuseUnread(slow) != nil {
		t.Error("the connection with much to read may ask, or the other one may not")
	}
	if raw["10.0.0.1"].closed {
		t.Error("a connection is closed while there is room")
	}
	answer(slow)
	if !raw["10.0.0.1"].closed || raw["10.0.0.2"].closed {
		t.Error("not the connection with the most to read was closed")
	}
	if held := g.unread.total.Load(); held != slow.backlog.bytes.Load() {
		t.Errorf("%d bytes count, %d of the connection that is left", held, slow.backlog.bytes.Load())
	}
	for _, c := range []*Connection{lazy, slow} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// One caller may have its limit while others find as much, and less the fewer places are free.
func TestP40ShareOfPlaces(t *testing.T) {
	t.Parallel()
	g := New(Options{Limits: Limits{InFlight: 2048, PerCaller: 1024}})
	for total, want := range map[int64]int64{0: 1024, 1024: 1024, 1536: 256, 1792: 64, 2040: alwaysPlaces, 2048: alwaysPlaces} {
		if got := g.share(total); got != want {
			t.Errorf("of %d places that are taken, one caller may have %d, want %d", total, got, want)
		}
	}
	all := New(Options{Limits: Limits{InFlight: 10, PerCaller: 10}})
	if got := all.share(9); got != 10 {
		t.Errorf("a caller that may have all has %d", got)
	}
}

// A call counts from before its handler, and no longer when it ends without.
func TestCallsThatNeverBegin(t *testing.T) {
	t.Parallel()
	g := New(Options{Limits: Limits{InFlight: 4, PerCaller: 4}})
	g.methods["/a/B"] = true
	ctx, end := context.WithCancel(t.Context())
	var begun []context.Context
	for range 4 {
		tapped, err := g.Tap(ctx, &tap.Info{FullMethodName: "/a/B"})
		if err != nil {
			t.Fatal(err)
		}
		begun = append(begun, tapped)
	}
	if _, err := g.Tap(ctx, &tap.Info{FullMethodName: "/a/B"}); err == nil {
		t.Error("a fifth call waits")
	}
	g.begin(begun[0])
	if n := g.queued.calls.Load(); n != 3 {
		t.Errorf("%d calls wait after one has begun", n)
	}
	end()
	for g.queued.calls.Load() > 0 { // or the test takes too long
		continue
	}
}
