package flows_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

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
		if !errors.As(err, &input) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
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
