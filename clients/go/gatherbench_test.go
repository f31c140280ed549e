package netpold_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/servertest"
)

// BenchmarkVerdict asks from several goroutines, by Verdict and by Allowed.
func BenchmarkVerdict(b *testing.B) {
	client := servertest.Start(b, shop()...).Client()
	src, dst := netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("10.0.3.7")
	request := &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 8080}
	for _, callers := range []int{1, 4, 16, 64, 256} {
		for name, ask := range map[string]func() (bool, error){
			"verdict": func() (bool, error) {
				v, err := client.Verdict(b.Context(), netpold.Question{Src: src, Dst: dst, Port: 8080})
				return v.Allowed, err
			},
			"allowed": func() (bool, error) {
				a, err := client.Allowed(b.Context(), request)
				return a.GetAllowed(), err
			},
		} {
			b.Run(fmt.Sprintf("%d/%s", callers, name), func(b *testing.B) {
				b.ReportAllocs()
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if allowed, err := ask(); err != nil || !allowed {
								b.Errorf("%v, %v", allowed, err)
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// BenchmarkVerdictLatency asks at a fixed rate, by Verdict and by Allowed, straight and with a millisecond of delay each way,
// and reports the median and the 99th percentile of the time to an answer.
func BenchmarkVerdictLatency(b *testing.B) {
	instance := servertest.Start(b, shop()...)
	question := netpold.Question{Src: netip.MustParseAddr("10.0.1.4"), Dst: netip.MustParseAddr("10.0.3.7"), Port: 8080}
	request := &netpoldv1.AllowedRequest{Src: netpold.IP("10.0.1.4"), Dst: netpold.IP("10.0.3.7"), Port: 8080}
	for _, delay := range []time.Duration{0, time.Millisecond} {
		client := instance.Client(netpold.WithDialOptions(grpc.WithContextDialer(
			func(ctx context.Context, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
				if err != nil || delay == 0 {
					return conn, err
				}
				return slow(conn, delay), nil
			})))
		ask := map[string]func() error{
			"verdict": func() error { _, err := client.Verdict(b.Context(), question); return err },
			"allowed": func() error { _, err := client.Allowed(b.Context(), request); return err },
		}
		for _, rate := range []int{500, 2000, 8000} {
			for _, name := range []string{"allowed", "verdict"} {
				b.Run(fmt.Sprintf("%v/%d-a-second/%s", delay, rate, name), func(b *testing.B) {
					took := make([]time.Duration, b.N)
					var all sync.WaitGroup
					start := time.Now()
					for i := range b.N {
						<-time.After(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
						all.Go(func() {
							asked := time.Now()
							if err := ask[name](); err != nil {
								b.Error(err)
							}
							took[i] = time.Since(asked)
						})
					}
					all.Wait()
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
					b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
				})
			}
		}
	}
}

// slow returns a connection on which everything takes longer, each way.
func slow(conn net.Conn, delay time.Duration) net.Conn {
	near, far := net.Pipe()
	carry := func(to, from net.Conn) {
		type piece struct {
			data []byte
			at   time.Time
		}
		pieces := make(chan piece, 1<<16)
		go func() {
			defer to.Close()
			for p := range pieces {
				<-time.After(time.Until(p.at))
				if _, err := to.Write(p.data); err != nil {
					break
				}
			}
			for range pieces { // what cannot be written any more
			}
		}()
		defer close(pieces)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{buf[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}
	go carry(conn, far)
	go carry(far, conn)
	return near
}
