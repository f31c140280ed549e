package flows_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
)

func zipped(t testing.TB, parts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&out)
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func lineOf(i int) string { return fmt.Sprintf(`{"src":"n/p%d","dst":"10.0.0.1","port":80}`+"\n", i) }

// Gzip is known by its first bytes, and its members may part a line.
func TestF1Gzip(t *testing.T) {
	for _, format := range flows.Formats()[1:] {
		var text bytes.Buffer
		if err := flowstest.Write(&text, format, flowstest.Records(1, 300)); err != nil {
			t.Fatal(err)
		}
		whole := text.String()
		want := readText(t, whole, flows.Options{})
		got := readText(t, string(zipped(t, whole[:1000], "", whole[1000:1001], whole[1001:])), flows.Options{})
		if len(got) != len(want) {
			t.Fatalf("%s: %d records of %d", format, len(got), len(want))
		}
		for i := range got {
			if !equal(&got[i], &want[i]) {
				t.Fatalf("%s: %+v, want %+v", format, got[i], want[i])
			}
		}
	}
}

// A file that ends inside a gzip stream is an error, wherever it is cut, and never makes a record of half a
// line. What is whole before is read.
func TestF7GzipCutAnywhere(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		text.WriteString(lineOf(i))
	}
	whole := zipped(t, text.String())
	most := 0
	for cut := 2; cut < len(whole); cut++ {
		list, err := readAll(t, bytes.NewReader(whole[:cut]), flows.Options{})
		var input *flows.InputError
		if !errors.As(err, &input) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) ||
			!strings.HasPrefix(err.Error(), "flows: ") ||
			!strings.Contains(err.Error(), "the file ends inside a gzip stream") {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		for i := range list {
			if list[i].Why != "" {
				t.Fatalf("cut at %d: record %d is %+v", cut, i, list[i])
			}
		}
		most = max(most, len(list))
	}
	if most != 200 {
		t.Errorf("at most %d records were read before a cut, not all 200", most)
	}
}

func TestF7GzipDamaged(t *testing.T) {
	whole := zipped(t, lineOf(1))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"garbage behind": {slices.Concat(whole, []byte("garbage that is no gzip")), "something that is no gzip follows"},
		"checksum":       {slices.Concat(whole[:len(whole)-8], []byte("abcd"), whole[len(whole)-4:]), "is damaged"},
	} {
		list, err := readAll(t, bytes.NewReader(c.data), flows.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", name, err)
		}
		if len(list) != 1 || list[0].Why != "" {
			t.Errorf("%s: read %+v before", name, list)
		}
	}
}

// A source that fails ends the records: the line that it cut off is none.
func TestF7SourceFails(t *testing.T) {
	cause := errors.New("disk on fire")
	from := io.MultiReader(strings.NewReader(lineOf(1)+lineOf(2)+`{"src":"n/p`), iotest.ErrReader(cause))
	r, err := flows.Open("flows", from, flows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := rest(r)
	if len(list) != 2 || !errors.Is(err, cause) || err.Error() != "flows: line 3: disk on fire" {
		t.Errorf("%d records, error %v", len(list), err)
	}
	var rec flows.Record
	if again := r.Next(&rec); !errors.Is(again, cause) {
		t.Errorf("then %v", again)
	}
	n := 0
	from = io.MultiReader(strings.NewReader(lineOf(1)), iotest.ErrReader(cause))
	r, err = flows.Open("flows", from, flows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range r.Ahead() {
		n++
	}
	if n != 2 || !errors.Is(err, cause) {
		t.Errorf("Ahead: %d turns, error %v", n, err)
	}
}

func TestF7InputThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"\xff\xfes\x00r\x00c\x00": "flows: the text is UTF-16; write it as UTF-8",
		"[{\"src\":1}]": `flows: line 1: the JSON goes over several records or lines; give one object a line, as ` +
			`"jq -c ." or, for an array, "jq -c '.[]'" write it`,
		"\n{\n  \"src\": 1\n}": `flows: line 2: the JSON goes over several records or lines; give one object a ` +
			`line, as "jq -c ." or, for an array, "jq -c '.[]'" write it`,
		`{"from":"a","to":{}}`: `flows: line 1: the format cannot be told from the keys of the first line: ` +
			`"from", "to"; give the format, or map them: columns src=COLUMN,dst=COLUMN,port=COLUMN`,
		`{}`: `flows: line 1: the format cannot be told from the keys of the first line: none; ` +
			`give the format, or map them: columns src=COLUMN,dst=COLUMN,port=COLUMN`,
		`{"from":`: `flows: line 1: the format cannot be told from the first line: record: the JSON ends too ` +
			`early; give one whole JSON object a line, as jq -c writes them, or give the format`,
	} {
		if _, err := readAll(t, strings.NewReader(text), flows.Options{}); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

func TestF1EmptyInputHasNoRecords(t *testing.T) {
	for _, text := range []string{"", "\n", " \r\n\n", "\ufeff", string(zipped(t, "")), "\ufeff\n"} {
		for _, format := range []flows.Format{flows.Auto, flows.Hubble, flows.JSONL, flows.Decisions} {
			list, err := readAll(t, strings.NewReader(text), flows.Options{Format: format})
			if err != nil || len(list) > 0 {
				t.Errorf("%s %q: %v, %v", format, text, list, err)
			}
		}
	}
}

func TestF1DetectsTheFormat(t *testing.T) {
	for text, want := range map[string]flows.Format{
		`{"flow":{}}`:                              flows.Hubble,
		`{"lost_events":{}}`:                       flows.Hubble,
		`{"nodeStatus":{}}`:                        flows.Hubble,
		`{"time":"","verdict":"","IP":{}}`:         flows.Hubble,
		`{"source":{},"l4":{}}`:                    flows.Hubble,
		`{"verdict":1,"flow`:                       flows.JSONL,
		`{"flow":{"time":`:                         flows.Hubble,
		`{"time":"","decision_id":""}`:             flows.Decisions,
		`{"question":{}}`:                          flows.Decisions,
		`{"time":"","dropped":7}`:                  flows.Decisions,
		`{"dropped":7,"dst":"10.0.0.1"}`:           flows.JSONL,
		"\n\n" + `{"src_ip":"10.0.0.1"}`:           flows.JSONL,
		"\ufeff" + `  {"source":"a/a","x":[{}]}`:   flows.JSONL,
		"src,dst,port":                             flows.CSV,
		"\ufeff\r\n\"src\",dst,port\n":             flows.CSV,
		string(zipped(t, "dst_ip,src_ip,dport\n")): flows.CSV,
	} {
		r, err := flows.Open("flows", strings.NewReader(text), flows.Options{})
		if err != nil || r.Format() != want {
			t.Errorf("%q is not %s: %v", text, want, err)
		}
	}
}

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
		!strings.Contains(err.Error(), "the first record is longer than 1048576 bytes") {
		t.Errorf("the first line: %v", err)
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

// A record that has come is not kept back until more come, not even when the format is to be told.
func TestAheadKeepsNothingBack(t *testing.T) {
	from, to := io.Pipe()
	answered := make(chan struct{})
	go func() {
		for i := range 5 {
			_, _ = io.WriteString(to, lineOf(i))
			<-answered // The test hangs if the record is kept back.
		}
		_ = to.Close()
	}()
	r, err := flows.Open("flows", from, flows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rec, err := range r.Ahead() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; rec.Line != n {
			t.Errorf("record %d says line %d", n, rec.Line)
		}
		answered <- struct{}{}
	}
	if n != 5 {
		t.Errorf("%d records of 5", n)
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
