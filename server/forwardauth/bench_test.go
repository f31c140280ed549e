package forwardauth_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// BenchmarkForwardAuth measures questions over kept connections of the loopback, with client and server on the same
// cores. Empty is a handler of net/http that does nothing: the cost of any request. The client is a bare connection, so
// that it costs little. Compare the lines of one run, by CPU time.
func BenchmarkForwardAuth(b *testing.B) {
	d := open(b, nil)
	empty := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	b.Cleanup(empty.Close)
	for name, addr := range map[string]string{"Empty": empty.Listener.Addr().String(), "Authz": d.ForwardAuthAddr()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				reader := bufio.NewReader(conn)
				for pb.Next() {
					_, err := io.WriteString(conn, "GET /authz?dst=10.0.0.2&port=8080 HTTP/1.1\r\nHost: netpold\r\n"+
						"X-Forwarded-For: 10.0.0.1\r\nUser-Agent: nginx\r\nAccept: */*\r\n\r\n")
					if err != nil {
						b.Error(err)
						return
					}
					if err := readOK(reader); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/question")
		})
	}
}

// readOK reads an answer without a body. It does not allocate: what the client of a benchmark does is not measured.
func readOK(reader *bufio.Reader) error {
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")):
			return fmt.Errorf("answered with %s", line)
		case len(line) == len("\r\n"):
			return nil
		}
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
