package flows_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
)

// benchRecords is how many records a round of the benchmarks reads.
const benchRecords = 20_000

func written(b *testing.B, format flows.Format) []byte {
	b.Helper()
	var text bytes.Buffer
	if err := flowstest.Write(&text, format, flowstest.Records(1, benchRecords)); err != nil {
		b.Fatal(err)
	}
	return text.Bytes()
}

// BenchmarkReadHubble reads Hubble's records, beside encoding/json that decodes the same fields alone. x-json
// is how many times as long as that the reader takes, in rounds that take turns.
//
//	BenchmarkReadHubble   0.25 x-json   0 allocs/record
func BenchmarkReadHubble(b *testing.B) {
	text := written(b, flows.Hubble)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var own, library time.Duration
	for b.Loop() {
		start := time.Now()
		read(b, text, flows.Options{})
		own += time.Since(start)
		b.StopTimer()
		start = time.Now()
		if _, err := flowstest.DecodeHubble(bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
		library += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(own)/float64(library), "x-json")
}

func BenchmarkRead(b *testing.B) {
	for _, format := range flows.Formats()[1:] {
		b.Run(string(format), func(b *testing.B) {
			text := written(b, format)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				read(b, text, flows.Options{Format: format})
			}
		})
	}
}

func read(b *testing.B, text []byte, o flows.Options) {
	r, err := flows.Open("flows", bytes.NewReader(text), o)
	if err != nil {
		b.Fatal(err)
	}
	var rec flows.Record
	n := 0
	for ; ; n++ {
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		if rec.Why == flows.Malformed {
			b.Fatal(rec.Problem)
		}
	}
	if n != benchRecords {
		b.Fatalf("read %d records", n)
	}
}
