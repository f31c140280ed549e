package render_test

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// forms are the forms of a list.
var forms = map[string]func(io.Writer, *render.List) error{
	"table": func(w io.Writer, l *render.List) error { return render.Table(w, l, false) },
	"wide":  func(w io.Writer, l *render.List) error { return render.Table(w, l, true) },
	"csv":   render.CSV, "dot": render.DOT, "svg": render.SVG,
}

func TestCSV(t *testing.T) {
	t.Parallel()
	l := shop().list(t, nil)
	same(t, text(t, func(w *strings.Builder) error { return render.CSV(w, l) }), `
src_namespace,src,dst_namespace,dst,ports,families,src_pods,dst_pods
shop,deploy/shop/cart,shop,deploy/shop/db,TCP 80,IPv6,2/4,1/1
shop,deploy/shop/cart,shop,deploy/shop/db,"TCP 80,443-445; UDP 53",,2/4,1/1
shop,shop/bare,shop,deploy/shop/cart,TCP 8080,,,
shop,shop/bare,shop,shop/bare,all,,,
shop,shop/bare,web,deploy/web/front,all,,,
shop,shop/bare,,0.0.0.0/0,all,,,
web,deploy/web/front,shop,shop/bare,all,,,
web,deploy/web/front,web,deploy/web/front,all,,,
web,deploy/web/front,,0.0.0.0/0,all,,,
,9.0.0.0/8,web,deploy/web/front,TCP 443,,,
,203.0.113.0/24,web,deploy/web/front,TCP 443,,,
,2001:db8::/32,web,deploy/web/front,TCP 443,,,
`)
}

func TestDOT(t *testing.T) {
	t.Parallel()
	got := text(t, func(w *strings.Builder) error { return render.DOT(w, shop().list(t, nil)) })
	for _, want := range []string{
		"subgraph cluster_0 {\n    label=\"shop\"", `n0 [label="deploy/shop/cart", tooltip="deploy/shop/cart, 4 Pods"]`,
		`n4 [label="anywhere outside (IPv4)", tooltip="0.0.0.0/0", shape=ellipse, style=dashed]`,
		`n5 [label="9.0.0.0/8 and 2 more", tooltip="9.0.0.0/8, 203.0.113.0/24, 2001:db8::/32"`,
		`n0 -> n1 [label="TCP 80 IPv6 (2/4>1/1)\nTCP 80,443-445; UDP 53 (2/4>1/1)"]`, "n5 -> n3 [label=\"TCP 443\"]",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the graph is\n%s\nwant in it\n%s", got, want)
		}
	}
}

func TestSVG(t *testing.T) {
	t.Parallel()
	got := text(t, func(w *strings.Builder) error { return render.SVG(w, shop().list(t, nil)) })
	wellFormed(t, got)
	for _, want := range []string{
		"<title>deploy/shop/cart, 4 Pods to deploy/shop/db:&#xA;TCP 80 IPv6 (2/4&gt;1/1)&#xA;TCP 80,443-445; UDP 53 (2/4&gt;1/1)</title>",
		">80+2*</text>", ">8080</text>", ">all</text>", ">anywhere outside (IPv4)</text>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the picture is\n%s\nwant in it\n%s", got, want)
		}
	}
}

// TestFilteredSVG: a source or destination that was not asked about has no line, so that it does not look
// denied.
func TestFilteredSVG(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	s.group("a", "asked", nil, true, "x-0")
	s.group("a", "other", nil, true, "y-0")
	s.group("a", "third", nil, true, "z-0")
	s.connect(&netpoldv1.Connection{SrcGroups: []uint32{2}, DstGroups: []uint32{1}, Ports: allPorts()})
	s.summary(new(netpoldv1.ListSummary))
	l := s.list(t, &netpoldv1.ListConnectionsRequest{Dst: &netpoldv1.Ends{Namespaces: []string{"a"}}})
	got := text(t, func(w *strings.Builder) error { return render.SVG(w, l) })
	for word, want := range map[string]int{"rotate(-90)\"><title>deploy/a/asked": 1, "rotate(-90)": 1, `text-anchor="end"`: 3} {
		if n := strings.Count(got, word); n != want {
			t.Errorf("%q is there %d times, want %d:\n%s", word, n, want, got)
		}
	}
}

// TestPicturesOfManyWorkloads: they show 60, those with connections first, and say what they leave out.
func TestPicturesOfManyWorkloads(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	var all []uint32
	for i := range 200 {
		s.group(fmt.Sprintf("ns-%02d", i/20), fmt.Sprintf("w-%03d", i), nil, true, fmt.Sprintf("p-%03d", i))
		if i%2 == 1 {
			all = append(all, s.groups)
		}
	}
	s.set(1, all...)
	s.connect(&netpoldv1.Connection{SrcSets: []uint32{1}, DstSets: []uint32{1}, Ports: allPorts()})
	s.summary(new(netpoldv1.ListSummary))
	l := s.list(t, nil)
	dot := text(t, func(w *strings.Builder) error { return render.DOT(w, l) })
	svg := text(t, func(w *strings.Builder) error { return render.SVG(w, l) })
	wellFormed(t, svg)
	for name, got := range map[string]string{"dot": dot, "svg": svg} {
		if !strings.Contains(got, "140 of 200 workloads are left out: a picture shows 60.") {
			t.Errorf("%s does not say what it leaves out:\n%s", name, got)
		}
		if strings.Contains(got, "deploy/ns-00/w-000") || !strings.Contains(got, "deploy/ns-05/w-119") {
			t.Errorf("%s does not show the workloads with connections:\n%s", name, got)
		}
	}
	// 3,600 arrows would be unreadable: they meet in a point.
	if arrows := strings.Count(dot, " -> "); arrows != 120 {
		t.Errorf("the graph has %d arrows, want 120", arrows)
	}
}

// hostile is what no name of Kubernetes can be, and what a server could send all the same.
var hostile = []string{
	`<script>alert(1)</script>`, `"]; x -> y; a [label="`, "`;,'\"\\", "\x1b[31mred\x1b]8;;http://x\a", "\u202egnp.exe\u2066",
	"a\nb\tc\r", "=cmd|' /C calc'!A0", "+1", "@x", "]]>&amp;", "\u0000", "\u2028", strings.Repeat("x", 253), "\U000e0001",
}

// TestHostileNames: each form shows them as text, and none lets a rune through that does not print.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	for _, name := range hostile {
		s.group(name, name, nil, true, name)
		s.group(name, "", nil, true, name)
	}
	s.kind = netpoldv1.GroupKind_GROUP_KIND_NODE
	s.group("", "", nil, true, hostile[0]+"\x1b")
	var all []uint32
	for id := range s.groups {
		all = append(all, id+1)
	}
	rule := &netpoldv1.RuleRef{Kind: hostile[3], Name: hostile[0] + hostile[3], RuleName: hostile[4]}
	s.connect(&netpoldv1.Connection{SrcGroups: all, DstGroups: all, Ports: allPorts(), EgressBy: rule, IngressBy: rule})
	s.connect(&netpoldv1.Connection{SrcGroups: all, DstCidrs: hostile, Ports: allPorts()})
	s.connect(&netpoldv1.Connection{SrcGroups: all, DstServices: []*netpoldv1.ServicePort{
		{Namespace: hostile[4], Name: hostile[0] + hostile[3]},
	}})
	s.summary(new(netpoldv1.ListSummary))
	l := s.list(t, nil)
	for name, write := range forms {
		got := text(t, func(w *strings.Builder) error { return write(w, l) })
		printable(t, name, got)
		switch name {
		case "svg":
			wellFormed(t, got)
		case "csv":
			records, err := csv.NewReader(strings.NewReader(got)).ReadAll()
			if err != nil {
				t.Errorf("csv: %v", err)
			}
			for _, record := range records {
				if formula := slices.IndexFunc(record, func(field string) bool {
					return field != "" && strings.ContainsAny(field[:1], "=+@")
				}); formula >= 0 {
					t.Errorf("csv has the formula %q", record[formula])
				}
			}
		case "dot":
			quotedWhole(t, got)
		}
	}
	var lines strings.Builder
	for _, m := range s.messages {
		if err := render.JSONLine(&lines, m); err != nil {
			t.Fatal(err)
		}
	}
	printable(t, "json", lines.String())
	for line := range strings.Lines(lines.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if !strings.Contains(lines.String(), `"name":"\u202egnp.exe\u2066"`) ||
		!strings.Contains(lines.String(), `"name":"\udb40\udc01"`) {
		t.Error("JSON does not keep a name that it escapes")
	}
}

func printable(t *testing.T, name, got string) {
	t.Helper()
	if at := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
		t.Errorf("%s has a rune that does not print: %q", name, got[max(0, at-40):min(len(got), at+40)])
	}
}

// quotedWhole checks that each line of dot is one statement of ours: no name ends its quotes.
func quotedWhole(t *testing.T, dot string) {
	t.Helper()
	for line := range strings.Lines(dot) {
		inside, escaped := false, false
		outside := ""
		for _, r := range line {
			switch {
			case escaped:
				escaped = false
			case inside && r == '\\':
				escaped = true
			case r == '"':
				inside = !inside
			case !inside:
				outside += string(r)
			}
		}
		if inside || strings.Contains(outside, "script") || strings.Contains(outside, ";") {
			t.Errorf("a name ends its quotes: %s", line)
		}
	}
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("no XML: %v\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok {
			if name := start.Name.Local; !slices.Contains([]string{"svg", "title", "rect", "text", "g", "path"}, name) {
				t.Errorf("an element of somebody else's: %s", name)
			}
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	for want, ranges := range map[string][]*netpoldv1.PortRange{
		"":                       nil,
		"all":                    allPorts(),
		"TCP 1-65535":            allPorts()[:1],
		"TCP 1-65535; UDP 53":    {portRange(tcp, 1, 65535), portRange(udp, 53, 53)},
		"TCP 80,443-445; UDP 53": {portRange(tcp, 80, 80), portRange(tcp, 443, 445), portRange(udp, 53, 53)},
		"SCTP 1-2,4":             {portRange(sctp, 1, 2), portRange(sctp, 4, 4)},
	} {
		if got := render.Ports(ranges); got != want {
			t.Errorf("%v is %q, want %q", ranges, got, want)
		}
	}
}
