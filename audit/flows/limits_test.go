package flows_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
)

// A line that is too long is Malformed, whatever it says and in every format, and the next one is read.
func TestA8LongLines(t *testing.T) {
	const limit = 1 << 20
	pad := func(n int) string { // A line of n bytes.
		line := strings.TrimSuffix(lineOf(1), "}\n") + `,"pad":"`
		return line + strings.Repeat("x", n-len(line)-2) + `"}`
	}
	for _, ending := range []string{"\n", "\r\n", ""} {
		for n, want := range map[int]flows.Why{limit: "", limit + 1: flows.Malformed, 3 * limit: flows.Malformed} {
			list := readText(t, lineOf(0)+pad(n)+ending, flows.Options{})
			if len(list) != 2 || list[1].Why != want {
				t.Errorf("%d bytes and %q: %d records, %.200v", n, ending, len(list), list[len(list)-1])
			}
		}
		long := pad(2*limit) + ending
		if ending == "" {
			continue
		}
		list := readText(t, lineOf(0)+long+long+lineOf(3), flows.Options{})
		if got := brief(list); got != "1:n/p0: 2::malformed 3::malformed 4:n/p3:" {
			t.Errorf("read %s", got)
		}
		list = readText(t, "src,dst,port\n"+long+"a/a,b/b,1\n"+strings.Replace(long, "x", `""`, 1)+"a/a,b/b,1",
			flows.Options{})
		if got := brief(list); got != "2::malformed 3:a/a: 4::malformed 5:a/a:" {
			t.Errorf("read %s", got)
		}
	}
	if _, err := readAll(t, strings.NewReader(pad(limit+1)), flows.Options{}); err == nil ||
		!strings.Contains(err.Error(), "from a first line of more than 1048576 bytes; give the format") {
		t.Errorf("the first line: %v", err)
	}
	list := readText(t, pad(limit+1)+"\n"+lineOf(2), flows.Options{Format: flows.JSONL})
	if got := brief(list); got != "1::malformed 2:n/p2:" {
		t.Errorf("the first line of a format that is told: read %s", got)
	}
}

// repeated is a source of n bytes that exist nowhere.
type repeated struct {
	left int
	text string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text)
	n = min(n, r.left)
	r.left -= n
	return n, nil
}

// Memory does not grow with a line or a cell: of 100 MB, no more than some MiB are ever allocated.
func TestA8MemoryOfALongLine(t *testing.T) {
	for name, c := range map[string]struct{ head, text, tail string }{
		"a line":        {lineOf(0), strings.Repeat("x", 8192), "\n" + lineOf(2)},
		"a cell of CSV": {"src,dst,port\na/a,b/b,1\n\"", strings.Repeat("x", 8192), "\"\na/a,b/b,1\n"},
		"a cell, of many lines": {"src,dst,port\na/a,b/b,1\n\"", strings.Repeat("x", 8191) + "\n",
			"\"\na/a,b/b,1\n"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := flows.Open("flows", io.MultiReader(strings.NewReader(c.head), &repeated{100 << 20, c.text},
			strings.NewReader(c.tail)), flows.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var rec flows.Record
		good, bad := 0, 0
		for err = r.Next(&rec); err == nil; err = r.Next(&rec) {
			if rec.Why == flows.Malformed {
				bad++
			} else {
				good++
			}
		}
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.EOF) || good != 2 || bad == 0 {
			t.Errorf("%s: %d good records and %d bad ones, %v", name, good, bad, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 24<<20 {
			t.Errorf("%s: %d MiB were allocated", name, grown>>20)
		}
	}
}

// What is read costs no allocations once names are known.
func TestF7NextAllocatesNothing(t *testing.T) {
	for _, format := range flows.Formats()[1:] {
		var text bytes.Buffer
		records := flowstest.Records(1, 50)
		for range 40 {
			if err := flowstest.Write(&text, format, records); err != nil {
				t.Fatal(err)
			}
		}
		if format == flows.CSV {
			text.Reset()
			var again []flows.Record
			for range 40 {
				again = append(again, records...)
			}
			if err := flowstest.Write(&text, format, again); err != nil {
				t.Fatal(err)
			}
		}
		r, err := flows.Open("flows", &text, flows.Options{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		var rec flows.Record
		next := func() {
			if err := r.Next(&rec); err != nil {
				t.Fatal(err)
			}
		}
		for range 600 {
			next()
		}
		if n := testing.AllocsPerRun(1000, next); n > 0 {
			t.Errorf("%s: %v allocations a record", format, n)
		}
	}
}
