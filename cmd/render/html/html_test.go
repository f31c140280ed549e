package html_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/cmd/render/html"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

var v4 = []netpoldv1.IpFamily{netpoldv1.IpFamily_IP_FAMILY_IPV4}

func group(id uint32, namespace, name string) *netpoldv1.ListConnectionsResponse {
	return &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Group{Group: &netpoldv1.Group{
			Id: id, Kind: netpoldv1.GroupKind_GROUP_KIND_POD, Namespace: namespace, Families: v4,
			Workload: &netpoldv1.WorkloadRef{Namespace: namespace, Kind: "Deployment", Name: name},
			Members:  []*netpoldv1.Member{{Name: name + "-0", Ips: []string{fmt.Sprintf("10.0.0.%d", id)}}},
		}},
	}
}

func connection(c *netpoldv1.Connection) *netpoldv1.ListConnectionsResponse {
	c.Families = v4
	return &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Connection{Connection: c},
	}
}

func header() *netpoldv1.ListConnectionsResponse {
	return &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Header{Header: &netpoldv1.AuditHeader{Revision: 7}},
	}
}

func summary() *netpoldv1.ListConnectionsResponse {
	return &netpoldv1.ListConnectionsResponse{
		Item: &netpoldv1.ListConnectionsResponse_Summary{Summary: &netpoldv1.ListSummary{}},
	}
}

func everyPort() []*netpoldv1.PortRange {
	var ranges []*netpoldv1.PortRange
	for p := netpoldv1.Protocol_PROTOCOL_TCP; p <= netpoldv1.Protocol_PROTOCOL_SCTP; p++ {
		ranges = append(ranges, &netpoldv1.PortRange{Protocol: p, First: 1, Last: 65535})
	}
	return ranges
}

func tcp(first, last uint32) []*netpoldv1.PortRange {
	return []*netpoldv1.PortRange{{Protocol: netpoldv1.Protocol_PROTOCOL_TCP, First: first, Last: last}}
}

// write returns the report of messages.
func write(t *testing.T, o html.Options, messages ...*netpoldv1.ListConnectionsResponse) string {
	t.Helper()
	var b bytes.Buffer
	list := html.NewList(&b, o)
	for _, m := range messages {
		if err := list.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := list.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// data returns the lines of data in a report.
func data(t *testing.T, report string) []string {
	t.Helper()
	_, rest, found := strings.Cut(report, `<script type="application/json" id="data">`+"\n")
	text, _, ended := strings.Cut(rest, "</script>")
	if !found || !ended {
		t.Fatal("the report has no data")
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}

// The data are the lines of -o json, without default values.
func TestDataAreTheMessages(t *testing.T) {
	t.Parallel()
	lines := data(t, write(
		t,
		html.Options{Command: "netpold list"},
		header(),
		group(1, "shop", "web"),
		connection(
			&netpoldv1.Connection{SrcGroups: []uint32{1}, DstGroups: []uint32{1}, Ports: tcp(80, 80)},
		),
		summary(),
	))
	want := []string{
		`{"report":{"command":"netpold list","kind":"list","request":{}}}`,
		`{"header":{"revision":"7"}}`,
		`{"asked":{"src":{"all":true,"outside":true},"dst":{"all":true,"outside":true}}}`,
		`{"group":{"id":1,"kind":"GROUP_KIND_POD","namespace":"shop","workload":{"namespace":"shop",` +
			`"kind":"Deployment","name":"web"},"members":[{"name":"web-0","ips":["10.0.0.1"]}],` +
			`"families":["IP_FAMILY_IPV4"]}}`,
		`{"connection":{"srcGroups":[1],"dstGroups":[1],"ports":[{"protocol":"PROTOCOL_TCP",` +
			`"first":80,"last":80}],` +
			`"families":["IP_FAMILY_IPV4"]}}`,
		`{"summary":{}}`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines of data (-want +got):\n%s", diff)
	}
}

// The policy names the one script and the one style by their hashes, and nothing else is in the file that a
// browser would run or fetch.
func TestContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	report := write(t, html.Options{}, header(), summary())
	hash := func(element string) string {
		_, rest, _ := strings.Cut(report, "<"+element+">")
		text, _, found := strings.Cut(rest, "</"+element+">")
		if !found {
			t.Fatalf("no <%s>", element)
		}
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := `content="default-src 'none'; script-src ` + hash("script") + `; style-src ` + hash("style") +
		`; base-uri 'none'; form-action 'none'"`
	if !strings.Contains(report, want) {
		t.Errorf("the report lacks %s", want)
	}
	for _, sign := range []string{
		"http://", "https://", "url(", "import(", "@import", " src=", "<link", "innerHTML",
		"outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setAttribute('style"} {
		text := strings.ReplaceAll(report, "http://www.w3.org/2000/svg", "")
		if strings.Contains(text, sign) {
			t.Errorf("the report contains %q", sign)
		}
	}
	if n := strings.Count(report, "<script"); n != 2 {
		t.Errorf("%d script elements, want the data and the script", n)
	}
	if strings.Contains(report, "<!--") {
		t.Error("the report has a comment, which can change where a script element ends")
	}
}

// No name ends the script element of the data, or changes how a browser reads it.
func TestNamesCannotEndTheData(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"</script>", "</SCRIPT >", "<!--", "<script>", "-->", "]]>", "\"'&<>", "a\u2028b\u2029c", "\u202egnp",
		"{{script}}", "{{data}}\n",
	} {
		report := write(t, html.Options{Command: name}, header(), group(1, name, name), summary())
		lines := data(t, report)
		for _, line := range lines {
			if strings.ContainsAny(line, "<>&\u2028\u2029") {
				t.Errorf("%q: a line of data has a character that HTML reads: %s", name, line)
			}
		}
		var message struct{ Group struct{ Namespace string } }
		if err := json.Unmarshal([]byte(lines[3]), &message); err != nil || message.Group.Namespace != name {
			t.Errorf("%q: read as %q, %v", name, message.Group.Namespace, err)
		}
		if regexp.MustCompile(`(?i)<script`).FindAllString(report, -1) == nil ||
			strings.Count(report, "</script>") != 2 {
			t.Errorf("%q: the report has other script elements", name)
		}
	}
}

// A report that was not told the end is a whole page, which says that it is incomplete.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	report := write(t, html.Options{}, header(), group(1, "shop", "web"))
	if !strings.HasSuffix(report, "</html>\n") {
		t.Error("the page has no end")
	}
	if lines := data(t, report); strings.Contains(strings.Join(lines, "\n"), `"summary"`) {
		t.Errorf("a summary that nobody sent: %v", lines)
	}
}

// Two runs write the same bytes, although protojson varies its white space.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	first := write(t, html.Options{}, header(), group(1, "a", "b"), summary())
	for range 5 {
		if again := write(t, html.Options{}, header(), group(1, "a", "b"), summary()); again != first {
			t.Fatal("two reports of the same messages differ")
		}
	}
}
