package flows_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/netpold/netpold/audit/flows"
)

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
}

func TestF7InputThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"\xff\xfes\x00r\x00c\x00": "flows: the text is UTF-16; write it as UTF-8",
		"[{\"src\":1}]": `flows: line 1: the JSON goes over several records or lines; give one object a line, as ` +
			`"jq -c ." or, for an array, "jq -c '.[]'" write it`,
		"\n{\n  \"src\": 1\n}": `flows: line 2: the JSON goes over several records or lines; give one object a ` +
			`line, as "jq -c ." or, for an array, "jq -c '.[]'" write it`,
		`{"from":"a","to":{}}`: `flows: line 1: the format cannot be told from the keys of the first line: ` +
			`"from", "to"; give the --format, or map them with --columns src=COLUMN,dst=COLUMN,port=COLUMN`,
		`{}`: `flows: line 1: the format cannot be told from the keys of the first line: none; ` +
			`give the --format, or map them with --columns src=COLUMN,dst=COLUMN,port=COLUMN`,
		`{"from":`: `flows: line 1: the format cannot be told from the first line: record: the JSON ends too ` +
			`early; give one whole JSON object a line, as jq -c writes them, or give the --format`,
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

// A reader tells when it may have to wait, so that answers need not: a record that has come is read before more
// comes, and so is the format told.
func TestF1WaitsForNothingThatHasCome(t *testing.T) {
	from, to := io.Pipe()
	read := make(chan struct{})
	go func() {
		for i := range 5 {
			_, _ = io.WriteString(to, lineOf(2*i)+lineOf(2*i+1))
			<-read // The test hangs if the reader wants more.
		}
		_ = to.Close()
	}()
	r, err := flows.Open("flows", from, flows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var rec flows.Record
	for i := range 10 {
		if err := r.Next(&rec); err != nil || rec.Line != i+1 {
			t.Fatalf("record %d: %+v, %v", i, rec, err)
		}
		if waits := i%2 == 1; r.Waits() != waits {
			t.Errorf("after record %d it waits: %v, want %v", i, !waits, waits)
		}
		if i%2 == 1 {
			read <- struct{}{}
		}
	}
	if err := r.Next(&rec); !errors.Is(err, io.EOF) || r.Waits() {
		t.Errorf("at the end: %v", err)
	}
}
