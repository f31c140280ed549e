package flows_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit/flows"
)

func TestF7OptionProblems(t *testing.T) {
	const names = "src, dst, port, protocol, verdict, direction, time, reply"
	for _, c := range []struct{ format, columns, delimiter, want string }{
		{format: "pcap", want: `format: "pcap" is not a format; give one of auto, hubble, jsonl, csv, decisions`},
		{columns: "source=a", want: `columns: "source" is not a name of a record; ` +
			`give NAME=COLUMN, NAME one of ` + names},
		{columns: "src", want: `columns: "src" has no "="; give NAME=COLUMN,NAME=COLUMN`},
		{columns: "src=a,", want: `columns: "" has no "="; give NAME=COLUMN,NAME=COLUMN`},
		{columns: "src=", want: `columns: no column for src; give src=COLUMN`},
		{columns: "src=a,src=b", want: `columns: src is given twice; give it one column`},
		{format: "hubble", columns: "src=a", want: `columns: the format hubble has no columns to choose; ` +
			`leave them out, or give format jsonl or csv`},
		{delimiter: ";;", want: `delimiter: ";;" is longer than one character; give one, such as ";" or "\t"`},
		{delimiter: `"`, want: `delimiter: '"' cannot part cells; give another character, such as ";" or "\t"`},
		{delimiter: "\xff", want: `delimiter: '�' cannot part cells; give another character, such as ";" or "\t"`},
		{format: "jsonl", delimiter: ";", want: `delimiter: the format jsonl has no delimiter; leave it out, ` +
			`or give format csv`},
	} {
		_, err := flows.ParseOptions(c.format, c.columns, c.delimiter)
		var option *flows.OptionError
		if !errors.As(err, &option) || err.Error() != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// Options that nobody parsed are checked when an input is opened.
	for _, o := range []flows.Options{
		{Format: "pcap"}, {Columns: map[string]string{"who": "a"}}, {Columns: map[string]string{"src": ""}},
		{Delimiter: '\n'}, {Format: flows.Decisions, Columns: map[string]string{"src": "a"}},
	} {
		_, err := flows.Open("flows", strings.NewReader(""), o)
		var option *flows.OptionError
		if !errors.As(err, &option) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestF7OptionsMayBeLeftOut(t *testing.T) {
	o, err := flows.ParseOptions("", "", "")
	if err != nil || o.Format != flows.Auto || o.Columns != nil || o.Delimiter != 0 {
		t.Errorf("%+v, %v", o, err)
	}
}
