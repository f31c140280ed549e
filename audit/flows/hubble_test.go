package flows_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// hubbleWith returns the record of a flow between two addresses with these members.
func hubbleWith(t *testing.T, members string) flows.Record {
	t.Helper()
	line := `{"flow":{"IP":{"source":"10.0.0.1","destination":"10.0.0.2"},` + members + `}}`
	list := readText(t, line, flows.Options{Format: flows.Hubble})
	if len(list) != 1 {
		t.Fatalf("%d records of 1", len(list))
	}
	return list[0]
}

const tcp80 = `"l4":{"TCP":{"destination_port":80,"flags":{"SYN":true}}}`

func TestF2HubbleWhy(t *testing.T) {
	const addresses = `"IP":{"source":"10.0.0.1","destination":"10.0.0.2"}`
	for _, c := range []struct {
		line string
		want flows.Why
	}{
		{`{"flow":{` + addresses + `,` + tcp80 + `}}`, ""},
		{`{` + addresses + `,` + tcp80 + `}`, ""},
		{`{"flow":{` + addresses + `,` + tcp80, flows.Malformed},
		{`{"flow":{` + addresses + `,` + tcp80 + `}} {}`, flows.Malformed},
		{`null`, flows.Malformed},
		{`"text"`, flows.Malformed},
		{`{"flow":[]}`, flows.Malformed},
		{`{"flow":{"IP":{"source":"10.0.0.1","destination":"10.0.0.300"},` + tcp80 + `}}`, flows.Malformed},
		{`{"flow":{"IP":{"source":"fe80::1%eth0","destination":"::1"},` + tcp80 + `}}`, flows.Malformed},
		{`{"flow":{` + addresses + `,"l4":{"TCP":{"destination_port":65536}}}}`, flows.Malformed},
		{`{"flow":{` + addresses + `,"l4":{"TCP":{"destination_port":-1}}}}`, flows.Malformed},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"is_reply":"maybe"}}`, flows.Malformed},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"verdict":{}}}`, flows.Malformed},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"time":"2026-01-01T00:00:00"}}`, flows.Malformed},
		// Malformed comes first, then not-a-flow.
		{`{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"1"},"time":"no"}`, flows.Malformed},
		{`{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"1"}}`, flows.NotAFlow},
		{`{"lostEvents":{}}`, flows.NotAFlow},
		{`{"node_status":{"state_change":"NODE_CONNECTED","node_names":["a"]}}`, flows.NotAFlow},
		{`{"agent_event":{}}`, flows.NotAFlow},
		{`{"debug_event":{}}`, flows.NotAFlow},
		{`{}`, flows.NotAFlow},
		{`{"flow":null}`, flows.NotAFlow},
		{`{"flow":{` + tcp80 + `,"Type":"L7","is_reply":true}}`, flows.NotAFlow},
		{`{"flow":{"IP":{"source":"10.0.0.1"},` + tcp80 + `}}`, flows.NotAFlow},
		// Then not-l4, before reply.
		{`{"flow":{` + addresses + `,` + tcp80 + `,"Type":"L7","is_reply":true}}`, flows.NotL4},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"Type":"SOCK"}}`, flows.NotL4},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"Type":2}}`, flows.NotL4},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"Type":3}}`, flows.NotL4},
		{`{"flow":{` + addresses + `,` + tcp80 + `,"Type":1}}`, ""},
		{`{"flow":{` + addresses + `,"l4":{"ICMPv4":{"type":8}}}}`, flows.NotL4},
		{`{"flow":{` + addresses + `,"l4":{"ICMPv6":{"type":133}},"is_reply":true}}`, flows.NotL4},
		{`{"flow":{` + addresses + `}}`, flows.NotL4},
		{`{"flow":{` + addresses + `,"l4":{"UDP":{"source_port":53}}}}`, flows.NotL4},
	} {
		list := readText(t, c.line, flows.Options{Format: flows.Hubble})
		if len(list) != 1 || list[0].Why != c.want {
			t.Errorf("%s\nis %+v, want %q", c.line, list, c.want)
		}
	}
}

func TestF2HubbleReply(t *testing.T) {
	both := `"l4":{"TCP":{"destination_port":80,"flags":{"SYN":true,"ACK":true}}}`
	for members, want := range map[string]flows.Why{
		tcp80 + `,"is_reply":true`:               flows.Reply,
		tcp80 + `,"isReply":true`:                flows.Reply,
		tcp80 + `,"is_reply":false`:              "",
		tcp80:                                    "",
		both:                                     flows.Reply,
		both + `,"is_reply":null`:                flows.Reply,
		both + `,"is_reply":false`:               "",
		tcp80 + `,"reply":true`:                  flows.Reply,
		tcp80 + `,"reply":true,"is_reply":false`: "",
		`"l4":{"TCP":{"destination_port":80,"flags":{"ACK":true,"PSH":true}}}`:             "",
		`"l4":{"TCP":{"destination_port":80,"flags":{"SYN":true,"ACK":false}}}`:            "",
		`"l4":{"UDP":{"destination_port":80,"flags":{"SYN":true,"ACK":true}}}`:             "",
		`"l4":{"SCTP":{"destination_port":80}},"is_reply":true,"traffic_direction":"NONE"`: flows.Reply,
	} {
		if rec := hubbleWith(t, members); rec.Why != want {
			t.Errorf("%s: %q (%s), want %q", members, rec.Why, rec.Problem, want)
		}
	}
}

func TestF3HubbleObserved(t *testing.T) {
	for members, want := range map[string]flows.Observed{
		`"verdict":"FORWARDED"`:  flows.ObservedAllowed,
		`"verdict":"REDIRECTED"`: flows.ObservedAllowed,
		`"verdict":1`:            flows.ObservedAllowed,
		`"verdict":5`:            flows.ObservedAllowed,
		`"verdict":"AUDIT"`:      flows.ObservedDenied,
		`"verdict":4`:            flows.ObservedDenied,
		`"verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED"`:             flows.ObservedDenied,
		`"verdict":"DROPPED","drop_reason_desc":"POLICY_DENY"`:               flows.ObservedDenied,
		`"dropReasonDesc":"POLICY_DENY","verdict":"DROPPED"`:                 flows.ObservedDenied,
		`"verdict":"DROPPED","drop_reason":133`:                              flows.ObservedDenied,
		`"verdict":2,"dropReason":181`:                                       flows.ObservedDenied,
		`"verdict":"DROPPED","drop_reason_desc":133`:                         flows.ObservedDenied,
		`"verdict":"DROPPED","drop_reason":133,"drop_reason_desc":null`:      flows.ObservedDenied,
		`"verdict":"DROPPED"`:                                                flows.NotObserved,
		`"verdict":"DROPPED","drop_reason_desc":"SERVICE_BACKEND_NOT_FOUND"`: flows.NotObserved,
		`"verdict":"DROPPED","drop_reason":158`:                              flows.NotObserved,
		`"verdict":"FORWARDED","drop_reason_desc":"POLICY_DENIED"`:           flows.ObservedAllowed,
		`"verdict":"TRACED","drop_reason":133`:                               flows.NotObserved,
		`"verdict":"TRANSLATED"`:                                             flows.NotObserved,
		`"verdict":"ERROR","drop_reason":133`:                                flows.NotObserved,
		`"verdict":"VERDICT_UNKNOWN"`:                                        flows.NotObserved,
		`"verdict":"forwarded"`:                                              flows.NotObserved,
		`"verdict":"NEW_IN_SOME_RELEASE"`:                                    flows.NotObserved,
		`"verdict":null`:                                                     flows.NotObserved,
		`"Summary":"no verdict"`:                                             flows.NotObserved,
	} {
		if rec := hubbleWith(t, members+`,`+tcp80); rec.Why != "" || rec.Observed != want {
			t.Errorf("%s: observed %d (%q %s), want %d", members, rec.Observed, rec.Why, rec.Problem, want)
		}
	}
}

func TestF4HubbleDirection(t *testing.T) {
	for members, want := range map[string]flows.Direction{
		`"traffic_direction":"EGRESS"`:                    flows.AtEgress,
		`"trafficDirection":"INGRESS"`:                    flows.AtIngress,
		`"traffic_direction":2`:                           flows.AtEgress,
		`"traffic_direction":1`:                           flows.AtIngress,
		`"traffic_direction":0`:                           flows.NoDirection,
		`"traffic_direction":"TRAFFIC_DIRECTION_UNKNOWN"`: flows.NoDirection,
		`"uuid":""`: flows.NoDirection,
	} {
		if rec := hubbleWith(t, members+`,`+tcp80); rec.Direction != want {
			t.Errorf("%s: direction %d, want %d", members, rec.Direction, want)
		}
	}
}

func TestF1HubblePortsAndProtocols(t *testing.T) {
	for members, want := range map[string]string{
		`"l4":{"TCP":{"destination_port":443}}`:               "443/TCP",
		`"l4":{"UDP":{"source_port":9,"destinationPort":53}}`: "53/UDP",
		`"l4":{"SCTP":{"destination_port":"65535"}}`:          "65535/SCTP",
		`"l4":{"TCP":null,"UDP":{"destination_port":1}}`:      "1/UDP",
	} {
		rec := hubbleWith(t, members)
		if got := fmt.Sprintf("%d/%s", rec.Port, rec.Protocol); got != want || rec.Why != "" {
			t.Errorf("%s: %s (%q %s), want %s", members, got, rec.Why, rec.Problem, want)
		}
	}
	if rec := hubbleWith(t, `"l4":{"ICMPv4":{}}`); rec.Protocol != engine.TCP {
		t.Error("ICMP has a protocol of its own")
	}
}

// The flow's own time counts, and else that of the event. Old releases wrote seconds and nanos.
func TestF5HubbleTime(t *testing.T) {
	want := time.Date(2026, 3, 1, 8, 0, 0, 500, time.UTC)
	const text = `"2026-03-01T08:00:00.0000005Z"`
	for _, line := range []string{
		`{"flow":{"time":` + text + `},"time":"2020-01-01T00:00:00Z"}`,
		`{"time":"2020-01-01T00:00:00Z","flow":{"time":` + text + `}}`,
		`{"flow":{},"time":` + text + `}`,
		`{"time":` + text + `,"flow":{}}`,
		`{"time":` + text + `,"verdict":"FORWARDED"}`,
		`{"flow":{"time":"2026-03-01T09:30:00.0000005+01:30"}}`,
		`{"flow":{"time":{"seconds":"1772352000","nanos":500}}}`,
		`{"lost_events":{},"time":` + text + `}`,
	} {
		list := readText(t, line, flows.Options{Format: flows.Hubble})
		if !list[0].Time.Equal(want) || list[0].Time.Location() != time.UTC {
			t.Errorf("%s: %v %s, want %v", line, list[0].Time, list[0].Problem, want)
		}
	}
}

func TestF6HubblePolicies(t *testing.T) {
	rec := hubbleWith(t, tcp80+`,"egress_allowed_by":[{"name":"dns","namespace":"shop","kind":"NetworkPolicy",`+
		`"labels":["k8s:io.cilium.k8s.policy.derived-from=Other"]},{"name":"base",`+
		`"labels":["a","k8s:io.cilium.k8s.policy.derived-from=CiliumClusterwideNetworkPolicy"]}],`+
		`"ingressAllowedBy":[{"name":"web","namespace":"shop"},{"revision":"4"}],`+
		`"egress_denied_by":null,"ingress_denied_by":[{"kind":"CiliumNetworkPolicy","name":"no","namespace":"db"}]`)
	allowed := []string{"NetworkPolicy shop/dns", "CiliumClusterwideNetworkPolicy base", "shop/web"}
	if !slices.Equal(rec.AllowedBy, allowed) {
		t.Errorf("allowed by %q, want %q", rec.AllowedBy, allowed)
	}
	if denied := []string{"CiliumNetworkPolicy db/no"}; !slices.Equal(rec.DeniedBy, denied) {
		t.Errorf("denied by %q, want %q", rec.DeniedBy, denied)
	}
}

func TestF2HubbleProblems(t *testing.T) {
	for members, want := range map[string]string{
		`"l4":{"TCP":{"destination_port":70000}}`: `l4.destination_port: "70000" is not a port; give 1 to 65535`,
		tcp80 + `,"is_reply":7`:                   `is_reply: "7" is neither true nor false; give one of them`,
		tcp80 + `,"source":"a"`:                   `source: "\"a\"" is not an object; give an object`,
		`"l4":7`:                                  `l4: "7" is not an object; give an object`,
		tcp80 + `,"time":"2026-01-01T00:00:00"`: `time: "2026-01-01T00:00:00" has no time zone; ` +
			`write one after it, such as Z`,
		tcp80 + `,"verdict":[]`: `verdict: an object or array is no value of it; give a text or number`,
		tcp80 + `,"verdict":x`:  `record: "x}}" at byte 129 is no JSON; give one JSON object a line`,
	} {
		if rec := hubbleWith(t, members); rec.Why != flows.Malformed || rec.Problem != want {
			t.Errorf("%s: %q %s\nwant %s", members, rec.Why, rec.Problem, want)
		}
	}
}

// A malformed record keeps nothing of what it said before the mistake, nor of the record before.
func TestF2MalformedRecordIsEmpty(t *testing.T) {
	good := `{"flow":{"IP":{"source":"10.0.0.1","destination":"10.0.0.2"},` + tcp80 +
		`,"verdict":"AUDIT","egress_denied_by":[{"name":"a"}],"source":{"pod_name":"a"}}}`
	r, err := flows.Open("flows", strings.NewReader(good+"\n"+good[:len(good)-1]+"\n{}\n"), flows.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var rec flows.Record
	for line := range 3 {
		if err := r.Next(&rec); err != nil {
			t.Fatal(err)
		}
		if line == 0 {
			continue
		}
		rec.Problem = ""
		why := []flows.Why{1: flows.Malformed, 2: flows.NotAFlow}[line]
		want := flows.Record{File: "flows", Line: line + 1, Why: why}
		if !equal(&rec, &want) {
			t.Errorf("line %d reads %+v", line+1, rec)
		}
	}
}
