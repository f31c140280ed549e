package extauthz_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/extauthz"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/proxied"
)

// emptyMethod is Check of a service that does nothing.
const emptyMethod = "/bench.Empty/Check"

// emptyService returns a service with that method, which answers each CheckRequest with response.
func emptyService(response *authv3.CheckResponse) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "bench.Empty", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Check",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return response, decode(new(authv3.CheckRequest))
		},
	}}}
}

// BenchmarkCheck measures the question of an HTTP filter with 18 headers beside a method of the same server that takes
// and returns the same messages and does nothing. Client and server share the cores. Compare the lines of one run, by
// CPU time: the goal is 0.85 of the empty method's rate.
//
//	go test -run xxx -bench Check -benchtime 20000x -count 5 ./server/extauthz
func BenchmarkCheck(b *testing.B) {
	headers := []string{"x-real-ip", "10.9.9.9"}
	for i := range 17 {
		headers = append(headers, fmt.Sprintf("x-header-%d", i), "a value of some forty bytes, as headers have")
	}
	req := tcp("10.0.0.1", "10.0.0.2", 8080, http(headers...))
	source := synced()
	options := proxied.Options{Metrics: metrics.New(source, "bench")}
	response, err := extauthz.New(source, options).Check(b.Context(), req)
	if err != nil || response.GetStatus().GetCode() != 0 {
		b.Fatal(response, err)
	}
	s := grpc.NewServer(grpc.ForceServerCodecV2(netpoldv1.Codec(1)),
		grpc.NumStreamWorkers(uint32(32*runtime.GOMAXPROCS(0))))
	extauthz.Register(s, source, options)
	s.RegisterService(emptyService(response), nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go s.Serve(listener) //nolint:errcheck // it ends with Stop
	b.Cleanup(s.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	for _, method := range []struct{ name, path string }{
		{"Empty", emptyMethod}, {"Check", authv3.Authorization_Check_FullMethodName},
	} {
		b.Run(method.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := conn.Invoke(b.Context(), method.path, req, new(authv3.CheckResponse)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/question")
		})
	}
}

// cpuTime returns how long this process has kept the CPUs busy.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
