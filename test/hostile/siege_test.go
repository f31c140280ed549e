//go:build linux

package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	// attackers attack at once, each from an address of its own, so that each is a caller.
	attackers = 200
	// attackTime is how long an attack is kept up.
	attackTime = 4 * time.Second
	// mostWait is the innocent's 99th percentile, at most. It is judged of expensive questions, and of all attacks if the
	// environment has HOSTILE_TIMES.
	mostWait = 250 * time.Millisecond
	// mostBusy is how much of the processors others may have. With more, times say nothing of netpold.
	mostBusy = 0.05
	// moreHeap, moreGoroutines and moreFiles are how much more a process may have afterwards.
	moreHeap       = 16 << 20
	moreGoroutines = 20
	moreFiles      = 10
)

// besiege has the innocent ask while attack runs, which must return soon after its context ends: when it lasted for so
// long, and n.enough says so. Afterwards the innocent has lost nothing, the memory has stayed within the chart's limit, and
// the process is as before.
func (n *child) besiege(t *testing.T, lasts time.Duration, attack func(context.Context)) {
	t.Helper()
	before, err := n.condition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rest, err := n.resident()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.forgetPeak(); err != nil {
		t.Fatal(err)
	}
	end := n.innocent(t)
	ctx, cancel := n.until(t, lasts)
	defer cancel()
	others := n.others(t)
	attack(ctx)
	busy := others()
	seen := end()
	if err := n.closeClients(); err != nil {
		t.Error(err)
	}
	peak, err := n.peak()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the innocent: %v; resident %d MiB at rest, %d MiB at the peak; others had %.0f%% of the processors", seen,
		rest>>20, peak>>20, 100*busy)
	if seen.Asked < int(lasts.Seconds()*innocentRate/2) {
		t.Errorf("the innocent asked %d times in %v", seen.Asked, lasts)
	}
	if lost := seen.Lost - seen.Late; lost > 0 || seen.Wrong > 0 {
		t.Errorf("the innocent has lost %d of %d and got %d wrong answers; first: %s", lost, seen.Asked, seen.Wrong, seen.FirstLoss)
	}
	if !n.timed && os.Getenv("HOSTILE_TIMES") == "" || busy > mostBusy {
		t.Log("NOT JUDGED BY ITS TIMES: HOSTILE_TIMES=judge is not set, or other processes had the processors")
	} else if seen.P99 > mostWait || seen.Late > 0 {
		t.Errorf("one in a hundred of the innocent's questions takes %v and more, want %v at most", seen.P99, mostWait)
	}
	if peak >= chartMemory {
		t.Errorf("%d MiB are resident, want less than %d", peak>>20, chartMemory>>20)
	}
	n.awaitRest(t, before)
}

// until returns a context that ends when so much time has passed and n.enough says so, or nothing more is to be hoped for.
func (n *child) until(t *testing.T, lasts time.Duration) (context.Context, context.CancelFunc) {
	if n.enough == nil {
		return context.WithTimeout(t.Context(), lasts)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasts+patience)
	go func() {
		defer cancel()
		for wait := time.After(lasts); ctx.Err() == nil; wait = time.After(10 * time.Millisecond) {
			select {
			case <-wait:
				if n.enough() {
					return
				}
			case <-ctx.Done():
			}
		}
	}()
	return ctx, cancel
}

// awaitRest waits until the process is as it was.
func (n *child) awaitRest(t *testing.T, before condition) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var now condition
	for ctx.Err() == nil {
		next, err := n.condition(ctx)
		if err != nil {
			t.Errorf("after the attack: %v, last %+v, before %+v", err, now, before)
			return
		}
		now = next
		if now.heap <= before.heap+moreHeap && now.goroutines <= before.goroutines+moreGoroutines &&
			now.files <= before.files+moreFiles {
			return
		}
		<-tick.C
	}
	t.Errorf("after the attack the process is %+v, before it was %+v", now, before)
}

// each has count callers attack until ctx ends, each from an address of its own, again and again.
func each(ctx context.Context, count int, attack func(ctx context.Context, from string)) {
	var attacking sync.WaitGroup
	for i := range count {
		attacking.Go(func() {
			for ctx.Err() == nil {
				attack(ctx, attackerAddress(i))
			}
		})
	}
	attacking.Wait()
}

// attackerAddress returns the address of an attacker. The innocent has 127.0.0.1.
func attackerAddress(i int) string { return fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250) }

// dialRaw opens a connection from an address.
func (n *child) dialRaw(ctx context.Context, from string) (net.Conn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return dialer.DialContext(ctx, "tcp", n.addr)
}

// dial returns a client from an address, whose messages are bytes that were encoded before.
func (n *child) dial(t *testing.T, from string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+n.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(encoded{})), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return n.dialRaw(ctx, from) }))
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clients = append(n.clients, conn)
	return conn
}

// client returns the client of an address, which is dialled once.
func (n *child) client(t *testing.T, from string) *grpc.ClientConn {
	t.Helper()
	n.mu.Lock()
	conn := n.byAddress[from]
	n.mu.Unlock()
	if conn == nil {
		conn = n.dial(t, from)
		n.mu.Lock()
		n.byAddress[from] = conn
		n.mu.Unlock()
	}
	return conn
}

// closeClients closes those of [child.dial].
func (n *child) closeClients() (err error) {
	for _, c := range n.clients {
		err = errors.Join(err, c.Close())
	}
	n.clients = nil
	return err
}

// dialAll returns a client for each of count attackers, by address.
func (n *child) dialAll(t *testing.T, count int) map[string]*grpc.ClientConn {
	t.Helper()
	conns := map[string]*grpc.ClientConn{}
	for i := range count {
		conns[attackerAddress(i)] = n.dial(t, attackerAddress(i))
	}
	return conns
}

// encoded is a codec for messages that are encoded already.
type encoded struct{}

func (encoded) Name() string { return "proto" }

func (encoded) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (encoded) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// A tally counts how calls ended. It is safe for concurrent use.
type tally struct {
	mu    sync.Mutex
	codes map[codes.Code]int
	first map[codes.Code]string
}

// add counts the error of a call.
func (y *tally) add(err error) {
	code := status.Code(err)
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.codes == nil {
		y.codes, y.first = map[codes.Code]int{}, map[codes.Code]string{}
	}
	if y.codes[code]++; y.codes[code] == 1 && err != nil {
		y.first[code] = err.Error()
	}
}

// of returns how many calls ended with a code.
func (y *tally) of(code codes.Code) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.codes[code]
}

// String returns the counts, with the first error of each code.
func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	text := ""
	for code, n := range y.codes {
		text += fmt.Sprintf("%d %v %.200s\n", n, code, y.first[code])
	}
	return text
}
