package flows_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// A columnCase is what a record of src shop/a-0, dst 10.0.0.2 and port 80 is with some columns changed; nil
// takes a column away.
type columnCase struct {
	change  map[string]any
	why     flows.Why
	problem string
	check   func(*flows.Record) bool
}

type change = map[string]any

func at(year int, nanos int) func(*flows.Record) bool {
	return func(r *flows.Record) bool { return r.Time.Equal(time.Date(year, 1, 2, 3, 4, 5, nanos, time.UTC)) }
}

func observes(o flows.Observed) func(*flows.Record) bool {
	return func(r *flows.Record) bool { return r.Observed == o }
}

func observedAt(d flows.Direction) func(*flows.Record) bool {
	return func(r *flows.Record) bool { return r.Direction == d }
}

var columnCases = []columnCase{
	{check: func(r *flows.Record) bool {
		return r.Src.Word == "shop/a-0" && r.Dst.IP.String() == "10.0.0.2" && r.Port == 80 &&
			r.Protocol == engine.TCP && r.Observed == flows.NotObserved && r.Direction == 0 && r.Time.IsZero()
	}},
	{change: change{"src": "::ffff:10.0.0.1"}, check: func(r *flows.Record) bool { return r.Src.IP.Is4() }},
	{change: change{"src": "fe80::1%e0"}, check: func(r *flows.Record) bool { return r.Src.Word == "fe80::1%e0" }},
	{change: change{"src": " shop/ä "}, check: func(r *flows.Record) bool { return r.Src.Word == "shop/ä" }},
	{change: change{"src": nil, "dst": nil}, why: flows.NotAFlow},
	{change: change{"src": "", "dst": " "}, why: flows.NotAFlow},
	{change: change{"src": "", "dst": "", "port": "x"}, why: flows.Malformed},
	{change: change{"src": ""}, why: flows.Malformed, problem: `src: is missing beside dst "10.0.0.2"; ` +
		`give an address or a word such as shop/web-0`},
	{change: change{"dst": nil}, why: flows.Malformed, problem: `dst: is missing beside src "shop/a-0"; ` +
		`give an address or a word such as shop/web-0`},

	{change: change{"port": nil}, why: flows.NotL4},
	{change: change{"port": ""}, why: flows.NotL4},
	{change: change{"port": "0"}, why: flows.NotL4},
	{change: change{"port": "65535"}, check: func(r *flows.Record) bool { return r.Port == 65535 }},
	{change: change{"port": 443}, check: func(r *flows.Record) bool { return r.Port == 443 }},
	{change: change{"port": "65536"}, why: flows.Malformed,
		problem: `port: "65536" is not a port; give 1 to 65535`},
	{change: change{"port": "http"}, why: flows.Malformed,
		problem: `port: "http" is not a port; give 1 to 65535`},
	{change: change{"port": "-1"}, why: flows.Malformed},
	{change: change{"port": "99999999999999999999999999"}, why: flows.Malformed},

	{change: change{"protocol": "uDp"}, check: func(r *flows.Record) bool { return r.Protocol == engine.UDP }},
	{change: change{"protocol": 17}, check: func(r *flows.Record) bool { return r.Protocol == engine.UDP }},
	{change: change{"protocol": "132"}, check: func(r *flows.Record) bool { return r.Protocol == engine.SCTP }},
	{change: change{"protocol": "6"}, check: func(r *flows.Record) bool { return r.Protocol == engine.TCP }},
	{change: change{"protocol": "ICMP"}, why: flows.NotL4},
	{change: change{"protocol": "1"}, why: flows.NotL4},
	{change: change{"protocol": 58}, why: flows.NotL4},
	{change: change{"protocol": "255", "reply": "true"}, why: flows.NotL4},
	{change: change{"protocol": "256"}, why: flows.Malformed},
	{change: change{"protocol": "quic"}, why: flows.Malformed,
		problem: `protocol: "quic" is not a protocol; give TCP, UDP or SCTP, or an IANA number`},

	{change: change{"verdict": "ALLOW"}, check: observes(flows.ObservedAllowed)},
	{change: change{"verdict": "allowed"}, check: observes(flows.ObservedAllowed)},
	{change: change{"verdict": "Accept"}, check: observes(flows.ObservedAllowed)},
	{change: change{"verdict": "pass"}, check: observes(flows.ObservedAllowed)},
	{change: change{"verdict": "FORWARDED"}, check: observes(flows.ObservedAllowed)},
	{change: change{"verdict": "deny"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": "Denied"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": "drop"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": "DROPPED"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": "reject"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": "block"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": "blocked"}, check: observes(flows.ObservedDenied)},
	{change: change{"verdict": ""}, check: observes(flows.NotObserved)},
	{change: change{"verdict": "unknown"}, check: observes(flows.NotObserved)},
	{change: change{"verdict": strings.Repeat("allowed", 9)}, check: observes(flows.NotObserved)},

	{change: change{"direction": "EGRESS"}, check: observedAt(flows.AtEgress)},
	{change: change{"direction": "ingress"}, check: observedAt(flows.AtIngress)},
	{change: change{"direction": "out"}, why: flows.Malformed,
		problem: `direction: "out" is not a direction; give egress, ingress or nothing`},

	{change: change{"reply": true}, why: flows.Reply},
	{change: change{"reply": "TRUE"}, why: flows.Reply},
	{change: change{"reply": "false"}},
	{change: change{"reply": "yes"}, why: flows.Malformed,
		problem: `reply: "yes" is neither true nor false; give one of them or nothing`},

	{change: change{"time": "2026-01-02T03:04:05Z"}, check: at(2026, 0)},
	{change: change{"time": "2026-01-02T05:04:05.000000001+02:00"}, check: at(2026, 1)},
	{change: change{"time": "2026-01-02 03:04:05+00:00"}, check: at(2026, 0)},
	{change: change{"time": "1767323045"}, check: at(2026, 0)},
	{change: change{"time": 1767323045}, check: at(2026, 0)},
	{change: change{"time": "1767323045.5"}, check: at(2026, 500_000_000)},
	{change: change{"time": "1767323045.1234567899"}, check: at(2026, 123_456_789)},
	{change: change{"time": ""}, check: func(r *flows.Record) bool { return r.Time.IsZero() }},
	{change: change{"time": "2026-01-02T03:04:05"}, why: flows.Malformed,
		problem: `time: "2026-01-02T03:04:05" has no time zone; write one after it, such as Z`},
	{change: change{"time": "2026-01-02"}, why: flows.Malformed,
		problem: `time: "2026-01-02" has no time zone; write one after it, such as Z`},
	{change: change{"time": "1767323045000"}, why: flows.Malformed,
		problem: `time: "1767323045000" is after the year 9999 in Unix seconds; give seconds, ` +
			`not milliseconds or nanoseconds`},
	{change: change{"time": "yesterday"}, why: flows.Malformed, problem: `time: "yesterday" is not a time; ` +
		`give RFC 3339 such as "2026-01-31T15:04:05Z", or Unix seconds`},
	{change: change{"time": "-5"}, why: flows.Malformed},
	{change: change{"time": "1e9"}, why: flows.Malformed},
	{change: change{"time": "1.2.3"}, why: flows.Malformed},
}

var columnOrder = []string{"src", "dst", "port", "protocol", "verdict", "direction", "time", "reply"}

// Every row holds of JSON lines and of CSV.
func TestF2Columns(t *testing.T) {
	for _, c := range columnCases {
		values := change{"src": "shop/a-0", "dst": "10.0.0.2", "port": "80"}
		for name, value := range c.change {
			values[name] = value
		}
		object, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		cells := make([]string, len(columnOrder))
		for i, name := range columnOrder {
			switch v := values[name].(type) {
			case string:
				cells[i] = v
			case nil:
			default:
				text, _ := json.Marshal(v)
				cells[i] = string(text)
			}
		}
		table := strings.Join(columnOrder, ",") + "\n" + strings.Join(cells, ",")
		for format, text := range map[flows.Format]string{flows.JSONL: string(object), flows.CSV: table} {
			list := readText(t, text, flows.Options{Format: format})
			if len(list) != 1 {
				t.Fatalf("%s has %d records", text, len(list))
			}
			rec := &list[0]
			if rec.Why != c.why || c.problem != "" && rec.Problem != c.problem || c.check != nil && !c.check(rec) {
				t.Errorf("%s %v:\n%+v\nwant %q %s", format, c.change, rec, c.why, c.problem)
			}
		}
	}
}

// Of the names of a column the first in the table counts, wherever it stands; null is as if it were absent.
func TestF1ColumnNames(t *testing.T) {
	for _, line := range []string{
		`{"src":"a/a","dst":"b/b","port":1}`,
		`{"src_ip":"a/a","dst_ip":"b/b","dst_port":1,"bytes":{"src":"x/x"}}`,
		`{"source":"a/a","destination":"b/b","dport":1}`,
		`{"source":"x/x","src_ip":"y/y","src":"a/a","dst":"b/b","destination":"x/x","dport":2,"port":1}`,
		`{"src":null,"src_ip":"a/a","dst":"b/b","port":"1","protocol":null}`,
	} {
		rec := readText(t, line, flows.Options{})[0]
		if rec.Src.Word != "a/a" || rec.Dst.Word != "b/b" || rec.Port != 1 || rec.Why != "" {
			t.Errorf("%s reads %+v", line, rec)
		}
	}
}

func TestF1MappedColumns(t *testing.T) {
	o, err := flows.ParseOptions("jsonl", "src=from, dst = to,port=to_port", "")
	if err != nil {
		t.Fatal(err)
	}
	// A name that is mapped loses its default columns.
	rec := readText(t, `{"from":"a/a","to":"b/b","to_port":1,"src":"x/x","port":7,"proto":"udp"}`, o)[0]
	if rec.Src.Word != "a/a" || rec.Dst.Word != "b/b" || rec.Port != 1 || rec.Protocol != engine.UDP {
		t.Errorf("read %+v", rec)
	}
	if rec := readText(t, `{"src":"a/a","dst":"b/b","port":1}`, o)[0]; rec.Why != flows.NotAFlow {
		t.Errorf("read %+v by columns that are mapped", rec)
	}
}

// Problems show at most 200 bytes of a value, as valid UTF-8.
func TestF2ProblemsAreShort(t *testing.T) {
	for _, value := range []string{
		strings.Repeat("x", 5000), strings.Repeat("ä", 5000),
		strings.Repeat(`\u0001`, 5000), strings.Repeat("😀", 150),
	} {
		rec := readText(t, `{"src":"a/a","dst":"b/b","port":"`+value+`"}`, flows.Options{})[0]
		quoted := strings.TrimSuffix(strings.TrimPrefix(rec.Problem, "port: "), " is not a port; give 1 to 65535")
		if len(quoted) > 200 || len(quoted) < 150 || !strings.HasSuffix(quoted, `"...`) {
			t.Errorf("%d bytes: %s", len(quoted), rec.Problem)
		}
	}
	rec := readText(t, "src,dst,port\na/\xff,b/b,1\n", flows.Options{})[0]
	if rec.Problem != "src: \"a/\uFFFD\" is not UTF-8; write the name in UTF-8" {
		t.Error(rec.Problem)
	}
}
