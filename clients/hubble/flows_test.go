package hubble_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/cilium/api/v1/relay"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/clients/hubble"
	"github.com/netpold/netpold/clients/hubble/hubbletest"
)

// noon is when the flows of tests begin.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// numbered returns a flow that is known by its number, its port.
func numbered(n int, node string, at time.Time) *flow.Flow {
	return &flow.Flow{
		Time: timestamppb.New(at), NodeName: node, Verdict: flow.Verdict_FORWARDED,
		Uuid: fmt.Sprintf("00000000-0000-4000-8000-%012d", n),
		IP:   &flow.IP{Source: "10.0.0.1", Destination: "10.0.0.2"},
		L4: &flow.Layer4{Protocol: &flow.Layer4_TCP{TCP: &flow.TCP{
			SourcePort: 40_000, DestinationPort: uint32(n),
		}}},
	}
}

func open(t *testing.T, options hubble.Options) *hubble.Flows {
	t.Helper()
	f, err := hubble.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// next returns the next record that is a flow.
func next(t *testing.T, f *hubble.Flows) flows.Record {
	t.Helper()
	for {
		r, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Why != flows.NotAFlow {
			return r
		}
	}
}

// ports returns the ports of the next n flows.
func ports(t *testing.T, f *hubble.Flows, n int) []int {
	t.Helper()
	var got []int
	for range n {
		got = append(got, int(next(t, f).Port))
	}
	return got
}

func upTo(first, last int) []int {
	var all []int
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

// F1: one record, one answer, in order.
func TestF1Order(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	for n := 1; n <= 500; n++ {
		server.Send(numbered(n, "a", noon.Add(time.Duration(n)*time.Millisecond)))
	}
	f := open(t, hubble.Options{Target: server.Addr(), Since: noon})
	for n := 1; n <= 1000; n++ {
		if n == 501 {
			for n := 501; n <= 1000; n++ {
				server.Send(numbered(n, "b", noon.Add(time.Duration(n)*time.Millisecond)))
			}
		}
		r := next(t, f)
		if int(r.Port) != n || r.Line != n || r.File != server.Addr() {
			t.Fatalf("record %d: port %d, line %d of %q", n, r.Port, r.Line, r.File)
		}
	}
	if got := f.Counts(); got.Records != 1000 || got.Reconnects != 0 {
		t.Errorf("%+v", got)
	}
}

// Without Since, only what comes after Open is wanted.
func TestFromNowOn(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Nodes(relay.NodeState_NODE_CONNECTED, "a")
	server.Send(numbered(1, "a", noon))
	f := open(t, hubble.Options{Target: server.Addr()})
	server.Send(numbered(2, "a", noon.Add(time.Second)))
	if got := next(t, f).Port; got != 2 {
		t.Errorf("port %d", got)
	}
}

// Nothing is lost or repeated when the server restarts, whatever the clocks of nodes say.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, forms := range map[string]func(*flow.Flow){
		"by UUID":    func(*flow.Flow) {},
		"by content": func(f *flow.Flow) { f.Uuid = "" },
		// Flows that are alike are told apart by how many there are.
		"all alike": func(f *flow.Flow) {
			f.Uuid, f.Time = "", timestamppb.New(noon)
			f.GetL4().GetTCP().DestinationPort %= 2
		},
		"without time": func(f *flow.Flow) { f.Time = nil },
		"clocks apart": func(f *flow.Flow) {
			skew := map[string]time.Duration{"a": -time.Hour, "b": 0, "c": time.Hour}[f.NodeName]
			f.Time = timestamppb.New(f.Time.AsTime().Add(skew))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := hubbletest.Start(t)
			f := open(t, hubble.Options{Target: server.Addr(), Since: noon.Add(-2 * time.Hour)}.Impatient())
			var got, want []int
			send := func(count int) {
				for range count {
					n := len(want) + 1
					flow := numbered(n, []string{"a", "b", "c"}[n%3], noon.Add(time.Duration(n)*time.Second))
					forms(flow)
					server.Send(flow)
					want = append(want, int(flow.GetL4().GetTCP().GetDestinationPort()))
				}
			}
			for round := range 5 {
				send(20 + round)
				got = append(got, ports(t, f, len(want)-len(got)-round)...)
				server.Stop()
				send(10)
				server.Start()
			}
			got = append(got, ports(t, f, len(want)-len(got))...)
			// A second flow of each would come before this one.
			end := numbered(60_000, "c", noon.Add(2*time.Hour))
			server.Send(end)
			if last := next(t, f).Port; last != 60_000 {
				t.Errorf("port %d is repeated", last)
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if counts := f.Counts(); counts.Reconnects < 5 || counts.Repeated == 0 {
				t.Errorf("%+v: were there no breaks?", counts)
			}
		})
	}
}

// A new connection asks for what came since the last flow of the node that is farthest behind.
func TestResumesFromSlowestNode(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	f := open(t, hubble.Options{Target: server.Addr(), Since: noon}.Impatient())
	server.Send(numbered(1, "slow", noon.Add(10*time.Second)), numbered(2, "slow", noon.Add(20*time.Second)),
		numbered(3, "fast", noon.Add(time.Minute)))
	ports(t, f, 3)
	server.Break()
	server.Send(numbered(4, "slow", noon.Add(21*time.Second)))
	if got := next(t, f).Port; got != 4 {
		t.Errorf("port %d", got)
	}
	requests := server.Requests()
	if got, want := requests[1].GetSince().AsTime(), noon.Add(19*time.Second); !got.Equal(want) {
		t.Errorf("asked for flows since %v, want %v", got, want)
	}
}

func TestLostEventsAreCountedOnce(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	var told []string
	f := open(t, hubble.Options{
		Target: server.Addr(), Since: noon,
		Event: func(e hubble.Event) {
			if e.Kind == hubble.EventsLost {
				told = append(told, e.String())
			}
		},
	}.Impatient())
	server.Send(numbered(1, "a", noon))
	for n := range 100 {
		server.Lose("a", 2, noon.Add(time.Duration(n)))
	}
	server.Send(numbered(2, "a", noon))
	var why []flows.Why
	for range 101 {
		r, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		why = append(why, r.Why)
	}
	if why[0] != "" || slices.ContainsFunc(why[1:], func(w flows.Why) bool { return w != flows.NotAFlow }) {
		t.Errorf("%q", why)
	}
	server.Break()
	ports(t, f, 1)
	server.Send(numbered(3, "a", noon))
	ports(t, f, 1)
	if got := f.Counts(); got.Lost != 200 || got.Repeated < 101 {
		t.Errorf("%+v", got)
	}
	if len(told) != 7 || !strings.HasPrefix(told[6], "Hubble lost 128 events so far: ") {
		t.Errorf("%q", told)
	}
}

func TestNodesAreTold(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Nodes(relay.NodeState_NODE_UNAVAILABLE, "a", "b")
	var told []string
	f := open(t, hubble.Options{
		Target: server.Addr(), Since: noon,
		Event: func(e hubble.Event) { told = append(told, e.String()) },
	}.Impatient())
	server.Send(numbered(1, "c", noon))
	r, err := f.Next(t.Context())
	if err != nil || r.Why != flows.NotAFlow {
		t.Fatalf("%+v, %v", r, err)
	}
	next(t, f)
	server.Nodes(relay.NodeState_NODE_CONNECTED, "a", "b", "c")
	server.Break()
	server.Send(numbered(2, "c", noon))
	next(t, f)
	want := []string{
		"no flows of 2 nodes (a, b) until Relay reaches them again",
		"disconnected: relay is going away: trying again",
		"flows of 3 nodes (a, b, c)",
		"connected again",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// A server that hangs is left, and tried again until it does not.
func TestHang(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	disconnected := make(chan string, 1)
	f := open(t, hubble.Options{
		Target: server.Addr(), Since: noon,
		Event: func(e hubble.Event) {
			if e.Kind == hubble.Disconnected {
				disconnected <- e.Message
			}
		},
	}.Impatient().Answered(200*time.Millisecond))
	server.Send(numbered(1, "a", noon))
	next(t, f)
	server.Hang(true)
	server.Send(numbered(2, "a", noon.Add(time.Second)))
	var told sync.WaitGroup
	told.Go(func() {
		for message := range disconnected {
			if !strings.HasPrefix(message, "it does not answer: ") {
				t.Errorf("%q", message)
			}
			server.Hang(false)
		}
	})
	if got := next(t, f).Port; got != 2 {
		t.Errorf("port %d", got)
	}
	f.Close()
	close(disconnected)
	told.Wait()
}

// A server that is silent but answers is not left.
func TestSilence(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	f := open(t, hubble.Options{Target: server.Addr(), Since: noon}.Impatient())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	server.Send(numbered(1, "a", noon))
	next(t, f)
	if got := len(server.Requests()); got != 1 {
		t.Errorf("%d connections", got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, authority := hubbletest.StartTLS(t)
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(authority)
	server.Send(numbered(1, "a", noon))
	f := open(t, hubble.Options{
		Target: server.Addr(), Since: noon, TLS: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
	})
	next(t, f)
	for name, config := range map[string]*tls.Config{
		"unknown authority": {MinVersion: tls.VersionTLS12},
		"other name":        {MinVersion: tls.VersionTLS12, RootCAs: authorities, ServerName: "other.test"},
		"plaintext":         nil,
	} {
		_, err := hubble.Open(t.Context(), hubble.Options{Target: server.Addr(), TLS: config})
		var failure *hubble.Error
		if !errors.As(err, &failure) || failure.Code != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	refused := listen()
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	mute := listen()
	defer mute.Close()
	other := listen()
	otherServer := grpc.NewServer()
	var served sync.WaitGroup
	served.Go(func() {
		if err := otherServer.Serve(other); err != nil {
			t.Error(err)
		}
	})
	defer func() {
		otherServer.Stop()
		served.Wait()
	}()
	hanging := hubbletest.Start(t)
	hanging.Hang(true)
	for name, test := range map[string]struct {
		target  string
		codes   []codes.Code
		message string
		hangs   bool
	}{
		"refused":          {refused.Addr().String(), []codes.Code{codes.Unavailable}, "connect: connection refused", false},
		"accepts alone":    {mute.Addr().String(), []codes.Code{codes.Unavailable, codes.DeadlineExceeded}, "", true},
		"no Hubble":        {other.Addr().String(), []codes.Code{codes.Unimplemented}, "unknown service observer.Observer", false},
		"hangs":            {hanging.Addr(), []codes.Code{codes.DeadlineExceeded}, "", true},
		"unknown name":     {"nowhere.invalid:1", []codes.Code{codes.Unavailable}, "produced zero addresses", false},
		"no such resolver": {"nowhere:///x:1", []codes.Code{codes.Unavailable}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			options := hubble.Options{Target: test.target}.Impatient()
			if test.hangs {
				options = options.Answered(200 * time.Millisecond)
			}
			f, err := hubble.Open(t.Context(), options)
			if err == nil {
				// It answered, but its stream has not ended yet.
				defer f.Close()
				_, err = f.Next(t.Context())
			}
			var failure *hubble.Error
			if !errors.As(err, &failure) || !slices.Contains(test.codes, failure.Code) ||
				!strings.Contains(failure.Message, test.message) {
				t.Errorf("%v, %v", failure.Code, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hubble.Open(ctx, hubble.Options{Target: hanging.Addr()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A context that ends does not end the connection: Next can be called again.
func TestNextAgain(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	f := open(t, hubble.Options{Target: server.Addr(), Since: noon}.Impatient())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Next(cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	server.Stop()
	if _, err := f.Next(cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	server.Send(numbered(1, "a", noon))
	server.Start()
	next(t, f)
}

func TestUntil(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Send(numbered(1, "a", noon), numbered(2, "a", noon.Add(time.Minute)),
		numbered(3, "a", noon.Add(time.Hour)))
	t.Run("past", func(t *testing.T) {
		f := open(t, hubble.Options{Target: server.Addr(), Since: noon, Until: noon.Add(time.Minute)}.Impatient())
		if got := ports(t, f, 2); !slices.Equal(got, upTo(1, 2)) {
			t.Error(got)
		}
		if r, err := f.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("future", func(t *testing.T) {
		f := open(t, hubble.Options{
			Target: server.Addr(), Since: noon, Until: time.Now().Add(50 * time.Millisecond),
		}.Impatient())
		if got := ports(t, f, 3); !slices.Equal(got, upTo(1, 3)) {
			t.Error(got)
		}
		if r, err := f.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// Flows that nobody reads stay at the server.
func TestFlowControl(t *testing.T) {
	t.Parallel()
	const count, size = 20_000, 1000
	// What both ends' windows and buffers hold, and the messages received ahead.
	const most = 3<<20/size + 200
	server := hubbletest.Start(t)
	for n := range count {
		f := numbered(n, "a", noon.Add(time.Duration(n)))
		f.SourceNames = []string{strings.Repeat("x", size)}
		server.Send(f)
	}
	f := open(t, hubble.Options{Target: server.Addr(), Since: noon})
	for n := range count {
		next(t, f)
		if ahead := server.Sent() - n; ahead > most {
			t.Fatalf("after %d flows the server has sent %d more", n, ahead)
		}
	}
}
