package flows_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/audit/flows/flowstest"
)

// seeds adds lines that the generator writes in a format.
func seeds(f *testing.F, format flows.Format) {
	for _, rec := range flowstest.Records(7, 60) {
		f.Add(bytes.TrimRight(flowstest.Append(nil, format, &rec), "\r\n"))
	}
}

// second reads a line as the second record of an input, whose first one is as given, and checks what holds
// for every record.
func second(t *testing.T, first string, line []byte, o flows.Options) (rec flows.Record, ok bool) {
	t.Helper()
	if bytes.ContainsAny(line, "\n") || len(bytes.TrimSpace(line)) == 0 {
		return rec, false
	}
	list := readText(t, first+"\n"+string(line), o)
	if len(list) != 2 {
		t.Fatalf("%d records of 2", len(list))
	}
	checkSound(t, &list[1])
	return list[1], true
}

// checkSound checks that a record that is asked can be asked, and that a malformed one says why.
func checkSound(t *testing.T, rec *flows.Record) {
	t.Helper()
	if rec.Why == "" && len(rec.Question) == 0 && (rec.Port == 0 || !hasEnd(rec.Src) || !hasEnd(rec.Dst)) {
		t.Fatalf("cannot be asked: %+v", rec)
	}
	if !utf8.ValidString(rec.Problem) || len(rec.Problem) > 800 {
		t.Fatalf("a malformed record says %q", rec.Problem)
	}
	if (rec.Why == flows.Malformed) != (rec.Problem != "") {
		t.Fatalf("%q with problem %q", rec.Why, rec.Problem)
	}
}

func hasEnd(end flows.End) bool { return end.IP.IsValid() || end.Word != "" }

// compare compares a record with an oracle's, but for its place and its problem.
func compare(t *testing.T, want, got flows.Record) {
	t.Helper()
	got.File, got.Line, got.Problem = "", 0, ""
	if !equal(&want, &got) {
		t.Fatalf("(-oracle +read):\n%s", cmp.Diff(want, got, same))
	}
}

// otherTime reports whether a line may hold a time that the oracles do not read: no RFC 3339.
func otherTime(top object) bool {
	times := []any{top["time"]}
	if flow, ok := top["flow"].(object); ok {
		times = append(times, flow["time"])
	}
	return slices.ContainsFunc(times, func(v any) bool {
		text, isText := v.(string)
		return v != nil && (!isText || !strings.Contains(text, "T") || strings.Contains(text, ","))
	})
}

func FuzzHubble(f *testing.F) {
	seeds(f, flows.Hubble)
	f.Add([]byte(`{"IP":{"source":"::ffff:10.0.0.1","destination":"fd00::1"},` +
		`"l4":{"UDP":{"destinationPort":"53"}},"verdict":1,"isReply":true,"trafficDirection":2,` +
		`"source":null,"reply":false}`))
	f.Add([]byte(`{"flow":{"IP":{"source":"10.0.0.1","destination":"10.0.0.2"},` +
		`"l4":{"TCP":{"destination_port":1,"flags":{"SYN":true,"ACK":true}}},` +
		`"source":{"namespace":"\u00e4\ud83d\ude00\ud83d","pod_name":"\"\\"}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, ok := second(t, `{"lost_events":{}}`, line, flows.Options{Format: flows.Hubble})
		top, valid, plain := decodeObject(line)
		switch {
		case !ok || !plain:
		case !valid:
			compare(t, flows.Record{Why: flows.Malformed}, rec)
		case !otherTime(top) && transports(top) <= 1:
			want := hubbleOracle(top)
			for _, list := range [][]string{want.AllowedBy, want.DeniedBy, rec.AllowedBy, rec.DeniedBy} {
				slices.Sort(list) // A map forgets which side came first.
			}
			compare(t, want, rec)
		}
	})
}

// transports returns how many transport protocols a line names. Of several the last counts, which a map
// forgets.
func transports(top object) int {
	if flow, ok := top["flow"].(object); ok {
		top = flow
	}
	l4, _ := top["l4"].(object)
	n := 0
	for _, name := range []string{"TCP", "UDP", "SCTP"} {
		if l4[name] != nil {
			n++
		}
	}
	return n
}

func FuzzDecisions(f *testing.F) {
	seeds(f, flows.Decisions)
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, ok := second(t, `{"dropped":1}`, line, flows.Options{Format: flows.Decisions})
		top, valid, plain := decodeObject(line)
		switch {
		case !ok || !plain:
		case !valid:
			compare(t, flows.Record{Why: flows.Malformed}, rec)
		case !otherTime(top):
			want := decisionOracle(top)
			if want.Why == "" && !bytes.Contains(line, rec.Question) {
				t.Fatalf("the question %s is not of the line", rec.Question)
			}
			rec.Question = nil
			compare(t, want, rec)
		}
	})
}

// What JSON lines say is what CSV says of the same texts, but for "-", which is no value in CSV.
func FuzzJSONL(f *testing.F) {
	seeds(f, flows.JSONL)
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, ok := second(t, `{"src":""}`, line, flows.Options{Format: flows.JSONL})
		top, valid, plain := decodeObject(line)
		if !ok || !plain {
			return
		}
		if !valid {
			compare(t, flows.Record{Why: flows.Malformed}, rec)
			return
		}
		c := &oracle{}
		var cells []string
		for _, names := range [][]string{{"src", "src_ip", "source"}, {"dst", "dst_ip", "destination"},
			{"port", "dst_port", "dport"}, {"protocol", "proto"}, {"verdict", "action", "disposition"},
			{"direction"}, {"time", "timestamp", "start"}, {"reply"}} {
			cell := ""
			for _, name := range slices.Backward(names) {
				if text := c.text(top[name]); top[name] != nil {
					cell = text
				}
			}
			if cell == "-" || strings.ContainsAny(cell, "\r\n\ufffd") {
				return
			}
			cells = append(cells, cell)
		}
		if c.bad {
			compare(t, flows.Record{Why: flows.Malformed}, rec)
			return
		}
		var text strings.Builder
		w := csv.NewWriter(&text)
		header := []string{"src", "dst", "port", "protocol", "verdict", "direction", "time", "reply"}
		if err := errors.Join(w.Write(header), w.Write(cells)); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		list := readText(t, text.String(), flows.Options{Format: flows.CSV})
		if len(list) != 1 {
			t.Fatalf("%d records of 1 in %q", len(list), text.String())
		}
		want := list[0]
		want.File, want.Line, want.Problem = "", 0, ""
		compare(t, want, rec)
	})
}

// What encoding/csv takes is taken, with the same cells: those of the column src, which are words.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,\"b\nc\"\r\n\"d\"\"e\",f\n\n,\n\"\",\"\"\n"))
	f.Add([]byte("a,b\n\"a,b\nc,d\ne,f"))
	f.Add([]byte("x\"y,b\nc,d,e\nf\ng,\"h\" ,\n\"i\" j,k\n"))
	f.Add([]byte("a,b\r"))
	f.Add([]byte("\"a\"\r,\"b\"\r"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := "src,x\n" + string(text)
		r, err := flows.Open("flows", strings.NewReader(in), flows.Options{
			Format: flows.CSV, Columns: map[string]string{"dst": "x", "port": "x"},
		})
		if err != nil {
			t.Fatal(err)
		}
		list, err := rest(r)
		if err != nil {
			t.Fatal(err)
		}
		last := 1
		for i := range list {
			checkSound(t, &list[i])
			if list[i].Line <= last {
				t.Fatalf("record %d is in line %d, after one in line %d", i, list[i].Line, last)
			}
			last = list[i].Line
		}
		checkCSV(t, in, list)
	})
}

// checkCSV compares the number of records and their lines with those of encoding/csv, if it takes the text.
func checkCSV(t *testing.T, in string, list []flows.Record) {
	t.Helper()
	c := csv.NewReader(strings.NewReader(in))
	c.FieldsPerRecord = -1
	var lines []int
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return
		}
		line, _ := c.FieldPos(0)
		lines = append(lines, line)
		if i := len(lines) - 2; i >= 0 && i < len(list) && len(row) != 2 && list[i].Why != flows.Malformed {
			t.Fatalf("record %d has the cells %q, and is %+v", i, row, list[i])
		}
	}
	for i, line := range lines[1:] {
		if i >= len(list) || list[i].Line != line {
			t.Fatalf("encoding/csv has records in lines %v, and not %+v", lines[1:], list)
		}
	}
	if len(list) != len(lines)-1 {
		t.Fatalf("%d records where encoding/csv has %d", len(list), len(lines)-1)
	}
}

// Detecting never panics, and what is detected reads as if it had been told.
func FuzzDetect(f *testing.F) {
	for _, format := range flows.Formats()[1:] {
		var text bytes.Buffer
		if err := flowstest.Write(&text, format, flowstest.Records(3, 4)); err != nil {
			f.Fatal(err)
		}
		f.Add(text.Bytes())
	}
	f.Add([]byte("\xef\xbb\xbf\n\n {}"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("\xff\xfea"))
	f.Add([]byte("[1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := flows.Open("flows", bytes.NewReader(text), flows.Options{})
		var input *flows.InputError
		if err != nil {
			if !errors.As(err, &input) || !utf8.ValidString(input.Problem) {
				t.Fatalf("%v is no good error of the input", err)
			}
			return
		}
		found, foundErr := rest(r)
		if r.Format() == flows.Auto {
			if len(found) > 0 || len(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))) > 0 &&
				!bytes.HasPrefix(text, []byte("\x1f\x8b")) {
				t.Fatalf("%d records of no format", len(found))
			}
			return
		}
		told, toldErr := readAll(t, bytes.NewReader(text), flows.Options{Format: r.Format()})
		if (foundErr == nil) != (toldErr == nil) ||
			!slices.EqualFunc(found, told, func(a, b flows.Record) bool { return equal(&a, &b) }) {
			t.Fatalf("%s, errors %v and %v (-told +found):\n%s", r.Format(), toldErr, foundErr,
				cmp.Diff(told, found, same))
		}
	})
}
