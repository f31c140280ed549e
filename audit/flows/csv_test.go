package flows_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/netpold/netpold/audit/flows"
)

// brief writes records as line:src:why, so that tables can be read.
func brief(list []flows.Record) string {
	var b strings.Builder
	for i := range list {
		src := list[i].Src.Word
		if list[i].Src.IP.IsValid() {
			src = list[i].Src.IP.String()
		}
		fmt.Fprintf(&b, "%d:%s:%s ", list[i].Line, src, list[i].Why)
	}
	return strings.TrimSuffix(b.String(), " ")
}

func TestF1CSV(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"plain":                 {"src,dst,port\na/a,b/b,1\nc/c,b/b,1", "2:a/a: 3:c/c:"},
		"header alone":          {"src,dst,port", ""},
		"other columns":         {"x,dst,,port,src\n1,b/b,2,80,a/a\n", "2:a/a:"},
		"byte order mark, CRLF": {"\ufeffsrc,dst,port\r\na/a,b/b,1\r\n", "2:a/a:"},
		"spaces":                {"src , dst,\tport\n a/a , b/b , 1 \n", "2:a/a:"},
		"empty lines":           {"\n\r\nsrc,dst,port\n\n\na/a,b/b,1\n\n", "6:a/a:"},
		"quotes":                {"\"src\",\"dst\",port\n\"a/a\",\"b/b\",\"1\"\n", "2:a/a:"},
		"delimiter in quotes":   {"src,dst,port,x\na/a,b/b,1,\"c,d\"\n", "2:a/a:"},
		"quote in quotes":       {"src,dst,port,x\na/a,b/b,1,\"say \"\"no\"\"\"\n", "2:a/a:"},
		"lines in quotes":       {"src,dst,port,x\na/a,b/b,1,\"1\r\n2\n\n\"\nc/c,b/b,1,\n", "2:a/a: 6:c/c:"},
		"unknown values": {"src,dst,port,time\na/a,b/b,1,-\n-,-,-,-\na/a,b/b,-,-\n",
			"2:a/a: 3::not-a-flow 4:a/a:not-l4"},
		"a cell missing":      {"src,dst,port\na/a,b/b\nc/c,b/b,1\n", "2::malformed 3:c/c:"},
		"a cell too many":     {"src,dst,port\na/a,b/b,1,\nc/c,b/b,1\n", "2::malformed 3:c/c:"},
		"a quote in a cell":   {"src,dst,port\na/a\",b/b,1\nc/c,b/b,1\n", "2::malformed 3:c/c:"},
		"text behind a quote": {"src,dst,port\n\"a/a\"x,b/b,1\nc/c,b/b,1\n", "2::malformed 3:c/c:"},
		"a quote left open":   {"src,dst,port\n\"a/a,b/b,1\nc/c,b/b,1\nd/d,b/b,1", "2::malformed 3:c/c: 4:d/d:"},
	} {
		for _, format := range []flows.Format{flows.Auto, flows.CSV} {
			if got := brief(readText(t, c.text, flows.Options{Format: format})); got != c.want {
				t.Errorf("%s, %s: read %s, want %s", name, format, got, c.want)
			}
		}
	}
}

func TestF1CSVDelimiters(t *testing.T) {
	for _, delimiter := range []string{";", `\t`, "tab", "|", "→"} {
		o, err := flows.ParseOptions("auto", "", delimiter)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll("src;dst;port;x\na/a;b/b;1;\"c;d\"\n", ";", string(o.Delimiter))
		if got := brief(readText(t, text, o)); got != "2:a/a:" {
			t.Errorf("%q: read %s", delimiter, got)
		}
	}
}

func TestF2CSVProblems(t *testing.T) {
	for line, want := range map[string]string{
		"a/a,b/b":     `record: 2 cells where the header has 3; quote cells that hold ",", and leave none out`,
		"a/a,b/b,1,2": `record: 4 cells where the header has 3; quote cells that hold ",", and leave none out`,
		`a"a,b/b,1`: "record: a quote stands inside a cell; put the whole cell in quotes and double each quote " +
			"inside",
		`"a"a,b/b,1`: "record: text follows the quote that closes a cell; double each quote inside a cell",
		`"a/a,b/b,1`: "record: a quote opens a cell and none closes it within 1 MiB; close it",
	} {
		rec := readText(t, "src,dst,port\n"+line, flows.Options{})[0]
		if rec.Problem != want {
			t.Errorf("%s: %s\nwant %s", line, rec.Problem, want)
		}
	}
}

func TestF7CSVHeaderProblems(t *testing.T) {
	mapped := flows.Options{Columns: map[string]string{"time": "when"}}
	for text, c := range map[string]struct {
		o    flows.Options
		want string
	}{
		"10.0.0.1,10.0.0.2,443\n": {want: `flows: line 1: the header has no column "src" for src but "10.0.0.1", ` +
			`"10.0.0.2", "443"; give a header, or map them with --columns src=COLUMN`},
		"src,dst\n": {want: `flows: line 1: the header has no column "port" for port but "src", "dst"; ` +
			`give a header, or map them with --columns port=COLUMN`},
		"src;dst;port\n": {want: `flows: line 1: the header has no column "src" for src but "src;dst;port"; ` +
			`give a header, or map them with --columns src=COLUMN; or give its --delimiter`},
		"src,dst,port\n": {o: mapped, want: `flows: line 1: the header has no column "when" for time but "src", ` +
			`"dst", "port"; give a header, or map them with --columns time=COLUMN`},
		"\nsrc,dst,port,src\n": {want: `flows: line 2: the header has the column "src" twice, for src; ` +
			`rename one, or map src to another`},
		"": {o: flows.Options{Format: flows.CSV}, want: "flows: line 1: the header is missing; " +
			"give a first line that names the columns, such as src,dst,port,protocol,verdict"},
		"\"src\n": {o: flows.Options{Format: flows.CSV}, want: "flows: line 1: record: a quote opens a cell and " +
			"none closes it within 1 MiB; close it"},
	} {
		_, err := readAll(t, strings.NewReader(text), c.o)
		var input *flows.InputError
		if !errors.As(err, &input) || err.Error() != c.want {
			t.Errorf("%q: %v\nwant %s", text, err, c.want)
		}
	}
}

// A quoted cell may reach over many lines and over the buffer, but not over the limit of a record (A8). Then
// only the line that opens it is lost.
func TestA8CSVLongCells(t *testing.T) {
	const header = "src,dst,port,x\n"
	long := strings.Repeat("0123456789abcde\n", 65_000) // 1,040,000 bytes.
	list := readText(t, header+"a/a,b/b,1,\""+long+"\"\nc/c,b/b,1,\n", flows.Options{})
	if got, want := brief(list), "2:a/a: 65003:c/c:"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	list = readText(t, header+"a/a,b/b,1,\""+long+long+long+"\"\nc/c,b/b,1,\n", flows.Options{})
	if len(list) != 195_000+2 || list[0].Why != flows.Malformed || list[195_001].Src.Word != "c/c" {
		t.Errorf("read %d records, the last %+v", len(list), list[len(list)-1])
	}
}
