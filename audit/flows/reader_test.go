package flows_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// same compares records as a reader of them sees them: an empty list is none.
var same = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// equal is the same as cmp.Diff with same, for many records.
func equal(a, b *flows.Record) bool {
	return a.File == b.File && a.Line == b.Line && a.Why == b.Why && a.Problem == b.Problem &&
		a.Time.Equal(b.Time) && a.Src == b.Src && a.Dst == b.Dst && a.Port == b.Port && a.Protocol == b.Protocol &&
		bytes.Equal(a.Question, b.Question) && a.Observed == b.Observed && a.Direction == b.Direction &&
		slices.Equal(a.AllowedBy, b.AllowedBy) && slices.Equal(a.DeniedBy, b.DeniedBy)
}

// readAll returns the records of an input, and the error that ended it, if any.
func readAll(t testing.TB, from io.Reader, o flows.Options) ([]flows.Record, error) {
	t.Helper()
	r, err := flows.Open("flows", from, o)
	if err != nil {
		return nil, err
	}
	return rest(r)
}

func rest(r *flows.Reader) ([]flows.Record, error) {
	var list []flows.Record
	for {
		var rec flows.Record
		if err := r.Next(&rec); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return list, err
		}
		list = append(list, rec)
	}
}

// readText reads an input that has no error.
func readText(t testing.TB, text string, o flows.Options) []flows.Record {
	t.Helper()
	list, err := readAll(t, strings.NewReader(text), o)
	if err != nil {
		t.Fatalf("reading %.300q: %v", text, err)
	}
	return list
}

// The flow is as a Cilium of 1.18 writes it.
func TestF1HubbleFlow(t *testing.T) {
	const line = `{"flow":{"time":"2026-07-31T10:41:02.202450754Z","uuid":"5f2c","verdict":"DROPPED",` +
		`"drop_reason":181,"ethernet":{"source":"62:6b:d0:a4:c5:63","destination":"6e:d0:ea:78:fc:0a"},` +
		`"IP":{"source":"10.0.1.235","destination":"10.0.0.21","ipVersion":"IPv4"},` +
		`"l4":{"TCP":{"source_port":60524,"destination_port":80,"flags":{"SYN":true}}},` +
		`"source":{"ID":423,"identity":24753,"namespace":"shop","labels":["k8s:app=cart"],"pod_name":"cart-0",` +
		`"workloads":[{"name":"cart","kind":"Deployment"}]},"destination":{"identity":24075,"namespace":"data",` +
		`"labels":["k8s:app=db"],"pod_name":"db-0"},"Type":"L3_L4","node_name":"a/w1","event_type":{"type":5},` +
		`"traffic_direction":"EGRESS","policy_match_type":1,` +
		`"drop_reason_desc":"POLICY_DENY","Summary":"TCP Flags: SYN",` +
		`"egress_denied_by":[{"name":"no-db","namespace":"shop","labels":["k8s:x=y"],` +
		`"kind":"CiliumNetworkPolicy"}]},"node_name":"a/w1","time":"2026-07-31T10:41:02.202450754Z"}`
	want := []flows.Record{{
		File: "flows", Line: 1,
		Time:     time.Date(2026, 7, 31, 10, 41, 2, 202450754, time.UTC),
		Src:      flows.End{IP: netip.MustParseAddr("10.0.1.235"), Namespace: "shop", Pod: "cart-0"},
		Dst:      flows.End{IP: netip.MustParseAddr("10.0.0.21"), Namespace: "data", Pod: "db-0"},
		Port:     80,
		Protocol: engine.TCP,
		Observed: flows.ObservedDenied, Direction: flows.AtEgress,
		DeniedBy: []string{"CiliumNetworkPolicy shop/no-db"},
	}}
	for _, format := range []flows.Format{flows.Auto, flows.Hubble} {
		got := readText(t, line, flows.Options{Format: format})
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestF1JSONL(t *testing.T) {
	const text = "\n" + `{"src":"shop/cart-0","dst_ip":"::ffff:10.0.0.1","port":"443","proto":"17",` +
		`"action":"Block","start":1700000000.25,"direction":"Ingress","bytes":[1,{"a":null}]}`
	want := []flows.Record{{
		File: "flows", Line: 2,
		Time: time.Unix(1700000000, 250_000_000).UTC(),
		Src:  flows.End{Word: "shop/cart-0"}, Dst: flows.End{IP: netip.MustParseAddr("10.0.0.1")},
		Port: 443, Protocol: engine.UDP,
		Observed: flows.ObservedDenied, Direction: flows.AtIngress,
	}}
	if diff := cmp.Diff(want, readText(t, text, flows.Options{}), same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
