package html_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/cmd/render/html"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// Above the limit, a report has namespaces alone and says what it left out. A cell is open only if nothing is
// missing, also when several connections say it together.
func TestOverview(t *testing.T) {
	t.Parallel()
	udpAndSCTP := everyPort()[1:]
	lines := data(t, write(
		t,
		html.Options{MaxWorkloads: 2},
		header(),
		group(1, "a", "x"),
		group(2, "a", "y"),
		group(3, "b", "z"),
		connection(
			&netpoldv1.Connection{SrcGroups: []uint32{1, 2}, DstGroups: []uint32{3}, Ports: tcp(1, 65535)},
		),
		connection(
			&netpoldv1.Connection{SrcGroups: []uint32{1, 2}, DstGroups: []uint32{3}, Ports: udpAndSCTP},
		),
		connection(&netpoldv1.Connection{SrcGroups: []uint32{1}, DstGroups: []uint32{2}, Ports: everyPort()}),
		connection(
			&netpoldv1.Connection{
				SrcGroups: []uint32{3},
				DstCidrs:  []string{"0.0.0.0/0"},
				Ports:     everyPort(),
			},
		),
		connection(
			&netpoldv1.Connection{
				SrcCidrs:  []string{"10.0.0.0/8"},
				DstGroups: []uint32{3},
				Ports:     tcp(443, 443),
			},
		),
		summary(),
	))
	all := `[{"protocol":"PROTOCOL_TCP","first":1,"last":65535},` +
		`{"protocol":"PROTOCOL_UDP","first":1,"last":65535},` +
		`{"protocol":"PROTOCOL_SCTP","first":1,"last":65535}]`
	want := []string{
		`{"leftOut":{"groups":3,"limit":2,"workloads":3}}`,
		`{"section":{"kind":"outside"}}`,
		`{"section":{"kind":"namespace","name":"a","workloads":2,"pods":2,"openEgress":2,"openIngress":2}}`,
		`{"section":{"kind":"namespace","name":"b","workloads":1,"pods":1,"openEgress":1,"openIngress":1}}`,
		`{"cell":{"src":0,"dst":2,"state":"partly","ports":[{"protocol":"PROTOCOL_TCP","first":443,"last":443}]}}`,
		`{"cell":{"src":1,"dst":1,"state":"partly","ports":` + all + `}}`,
		`{"cell":{"src":1,"dst":2,"state":"open","ports":` + all + `}}`,
		`{"cell":{"src":2,"dst":0,"state":"open","ports":` + all + `}}`,
		`{"askedSections":{"dst":[0,1,2],"src":[0,1,2]}}`,
		`{"summary":{}}`,
	}
	if diff := cmp.Diff(want, lines[2:]); diff != "" {
		t.Errorf("lines of data (-want +got):\n%s", diff)
	}
}

// What was asked about is told by names; what a selector selects is seen by its connections alone.
func TestAsked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ends *netpoldv1.Ends
		want string
	}{
		"everything": {nil, `{"all":true,"outside":true}`},
		"cluster":    {&netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_CLUSTER}, `{"all":true}`},
		"external":   {&netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_EXTERNAL}, `{"outside":true}`},
		"namespace":  {&netpoldv1.Ends{Namespaces: []string{"b"}}, `{"groups":[2]}`},
		"workload": {&netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{{Endpoint: &netpoldv1.Endpoint_Workload{
			Workload: &netpoldv1.WorkloadRef{Namespace: "a", Kind: "Deployment", Name: "x"},
		}}}}, `{"groups":[1]}`},
		"Pod": {&netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{{Endpoint: &netpoldv1.Endpoint_Pod{
			Pod: &netpoldv1.PodRef{Namespace: "b", Name: "y-0"},
		}}}}, `{"groups":[2]}`},
		"a Pod's address": {&netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{
			{Endpoint: &netpoldv1.Endpoint_Ip{Ip: "10.0.0.1"}},
		}}, `{"groups":[1]}`},
		"an outside address": {&netpoldv1.Ends{Endpoints: []*netpoldv1.Endpoint{
			{Endpoint: &netpoldv1.Endpoint_Ip{Ip: "192.0.2.1"}},
		}}, `{"outside":true}`},
		"selector": {&netpoldv1.Ends{PodSelector: "app=x"}, `{"seen":true}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := html.Options{Request: &netpoldv1.ListConnectionsRequest{Src: test.ends}}
			lines := data(t, write(t, o, header(), group(1, "a", "x"), group(2, "b", "y"), summary()))
			want := `{"asked":{"src":` + test.want + `,"dst":{"all":true,"outside":true}}}`
			if lines[2] != want {
				t.Errorf("got  %s\nwant %s", lines[2], want)
			}
		})
	}
}

// A difference by namespaces has what changes. Answers to questions are refused: the report would lose them.
func TestDiff(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	report := html.NewDiff(&b, html.Options{MaxWorkloads: 1})
	messages := []*netpoldv1.SimulateResponse{
		{Item: &netpoldv1.SimulateResponse_Header{Header: &netpoldv1.AuditHeader{Revision: 7}}},
		{Item: &netpoldv1.SimulateResponse_Group{Group: group(1, "a", "x").GetGroup()}},
		{Item: &netpoldv1.SimulateResponse_Group{Group: group(2, "b", "y").GetGroup()}},
		{Item: &netpoldv1.SimulateResponse_Change{Change: &netpoldv1.Change{
			Kind: netpoldv1.ChangeKind_CHANGE_KIND_OPENED, SrcGroups: []uint32{1}, DstGroups: []uint32{2},
			Ports: tcp(80, 81),
		}}},
		{Item: &netpoldv1.SimulateResponse_Change{Change: &netpoldv1.Change{
			Kind: netpoldv1.ChangeKind_CHANGE_KIND_CLOSED, SrcCidrs: []string{"::/0"}, DstGroups: []uint32{2},
			Ports: tcp(82, 82),
		}}},
		{Item: &netpoldv1.SimulateResponse_Summary{Summary: &netpoldv1.SimulateSummary{Opened: 1}}},
	}
	for _, m := range messages {
		if err := report.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := report.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(data(t, b.String()), "\n")
	for _, want := range []string{
		`{"cell":{"src":0,"dst":2,"closed":[{"protocol":"PROTOCOL_TCP","first":82,"last":82}]}}`,
		`{"cell":{"src":1,"dst":2,"opened":[{"protocol":"PROTOCOL_TCP","first":80,"last":81}]}}`,
		`{"summary":{"opened":"1"}}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	answer := &netpoldv1.SimulateResponse{
		Item: &netpoldv1.SimulateResponse_Answer{Answer: &netpoldv1.SimulatedAnswer{}},
	}
	if err := html.NewDiff(&b, html.Options{}).Write(answer); err == nil {
		t.Error("an answer is taken, and lost")
	}
}
