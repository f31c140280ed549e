package flows_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
)

// What is written in any format is read back, whether the format is told or not, and however little the
// source returns at once.
func TestF1F2RoundTrip(t *testing.T) {
	for seed := range uint64(5) {
		records := flowstest.Records(seed, 2000)
		for _, format := range flows.Formats()[1:] {
			t.Run(fmt.Sprintf("%s-%d", format, seed), func(t *testing.T) {
				var text bytes.Buffer
				if err := flowstest.Write(&text, format, records); err != nil {
					t.Fatal(err)
				}
				checkRead(t, format, records, text.Bytes())
			})
		}
	}
}

func checkRead(t *testing.T, format flows.Format, records []flows.Record, text []byte) {
	t.Helper()
	first := 1
	if format == flows.CSV {
		first = 2
	}
	told, err := readAll(t, bytes.NewReader(text), flows.Options{Format: format})
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != len(records) {
		t.Fatalf("read %d records of %d", len(told), len(records))
	}
	for i := range records {
		want := flowstest.Expected(format, records[i])
		want.File, want.Line = "flows", first+i
		if !equal(&want, &told[i]) {
			t.Fatalf("record %d (-written +read):\n%s\n%s", i, cmp.Diff(want, told[i], same),
				bytes.Split(text, []byte("\n"))[first+i-1])
		}
	}
	found, err := readAll(t, iotest.HalfReader(bytes.NewReader(text)), flows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(told, found, func(a, b flows.Record) bool { return equal(&a, &b) }) {
		t.Errorf("the format was not told (-told +found):\n%s", cmp.Diff(told, found, same))
	}
}

func TestHubbleRecordsHaveAKilobyte(t *testing.T) {
	var text bytes.Buffer
	if err := flowstest.Write(&text, flows.Hubble, flowstest.Records(1, 1000)); err != nil {
		t.Fatal(err)
	}
	if mean := text.Len() / 1000; mean < 900 || mean > 1400 {
		t.Errorf("a record has %d bytes, not about 1 KiB", mean)
	}
}
