package render_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	opened   = netpoldv1.ChangeKind_CHANGE_KIND_OPENED
	closed   = netpoldv1.ChangeKind_CHANGE_KIND_CLOSED
	families = netpoldv1.ChangeKind_CHANGE_KIND_FAMILIES
)

// diffForms are the forms of a difference.
var diffForms = map[string]func(io.Writer, *render.Diff) error{
	"table": func(w io.Writer, d *render.Diff) error { return render.DiffTable(w, d, false) },
	"wide":  func(w io.Writer, d *render.Diff) error { return render.DiffTable(w, d, true) },
	"csv":   render.DiffCSV, "dot": render.DiffDOT, "svg": render.DiffSVG, "markdown": render.DiffMarkdown,
}

// diffOf returns the difference with the groups and the set of a script, and changes.
func diffOf(t *testing.T, s *script, request *netpoldv1.SimulateRequest, summary *netpoldv1.SimulateSummary,
	changes ...*netpoldv1.Change) *render.Diff {
	t.Helper()
	var messages []*netpoldv1.SimulateResponse
	for _, m := range s.messages {
		switch item := m.GetItem().(type) {
		case *netpoldv1.ListConnectionsResponse_Header:
			messages = append(messages, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Header{Header: item.Header}})
		case *netpoldv1.ListConnectionsResponse_Group:
			messages = append(messages, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Group{Group: item.Group}})
		case *netpoldv1.ListConnectionsResponse_Set:
			messages = append(messages, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Set{Set: item.Set}})
		}
	}
	for _, c := range changes {
		messages = append(messages, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Change{Change: c}})
	}
	messages = append(messages, &netpoldv1.SimulateResponse{Item: &netpoldv1.SimulateResponse_Summary{Summary: summary}})
	d := render.NewDiff(request)
	for i, m := range messages {
		if d.Complete() {
			t.Errorf("it is complete after %d messages", i)
		}
		if err := d.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	if !d.Complete() {
		t.Fatal("the difference has no summary")
	}
	return d
}

func allowed(f ...netpoldv1.IpFamily) *netpoldv1.ChangeState {
	return &netpoldv1.ChangeState{Allowed: true, Families: f}
}

// shopDiff is a difference with everything that a row can have.
func shopDiff(t *testing.T) *render.Diff {
	t.Helper()
	denied := new(netpoldv1.ChangeState)
	by := func(name string) *netpoldv1.ChangeRules {
		return &netpoldv1.ChangeRules{Ingress: &netpoldv1.RuleRef{Kind: "NetworkPolicy", Namespace: "shop", Name: name}}
	}
	return diffOf(t, shop(), nil, &netpoldv1.SimulateSummary{
		Opened: 7, Closed: 1, PoliciesRemoved: []string{"NetworkPolicy/shop/db"},
		PoliciesChanged: []string{"NetworkPolicy/shop/1", "NetworkPolicy/shop/2", "NetworkPolicy/shop/3",
			"NetworkPolicy/shop/4", "NetworkPolicy/shop/5", "NetworkPolicy/shop/6"},
	},
		&netpoldv1.Change{Kind: opened, SrcGroups: []uint32{1}, DstGroups: []uint32{3}, Before: denied, After: allowed(ipv4, ipv6),
			Ports: []*netpoldv1.PortRange{portRange(tcp, 80, 80)}, AfterBy: by("cart")},
		&netpoldv1.Change{Kind: opened, SrcGroups: []uint32{2}, DstGroups: []uint32{3}, Before: denied, After: allowed(ipv4, ipv6),
			Ports: []*netpoldv1.PortRange{portRange(tcp, 80, 80)}, AfterBy: by("cart")},
		&netpoldv1.Change{Kind: closed, SrcGroups: []uint32{2}, DstGroups: []uint32{3}, Before: allowed(ipv6), After: denied,
			Ports: []*netpoldv1.PortRange{portRange(udp, 53, 53)}, BeforeBy: by("db")},
		&netpoldv1.Change{Kind: families, SrcGroups: []uint32{2}, DstGroups: []uint32{1}, Before: allowed(ipv4),
			After: allowed(ipv4, ipv6), Ports: []*netpoldv1.PortRange{portRange(tcp, 1, 9)}},
		&netpoldv1.Change{Kind: opened, SrcSets: []uint32{1}, DstCidrs: []string{"0.0.0.0/1", "128.0.0.0/1"}, Before: denied,
			After: allowed(ipv4), Ports: allPorts()},
		&netpoldv1.Change{Kind: closed, SrcCidrs: []string{"203.0.113.0/24"}, DstGroups: []uint32{5}, Before: allowed(ipv4),
			After: denied, Ports: []*netpoldv1.PortRange{portRange(tcp, 443, 443)}},
	)
}

func TestDiffTable(t *testing.T) {
	t.Parallel()
	d := shopDiff(t)
	same(t, text(t, func(w *strings.Builder) error { return render.DiffTable(w, d, false) }), `
CHANGE   SOURCE            DESTINATION       PORTS    FAMILIES           PODS
changed  deploy/shop/cart  deploy/shop/cart  TCP 1-9  IPv4 to IPv4,IPv6  2/4>2/4
opened   deploy/shop/cart  deploy/shop/db    TCP 80
closed   deploy/shop/cart  deploy/shop/db    UDP 53   IPv6               2/4>1/1
opened   shop/bare         0.0.0.0/1         all
opened   shop/bare         128.0.0.0/1       all
opened   deploy/web/front  0.0.0.0/1         all
opened   deploy/web/front  128.0.0.0/1       all
closed   203.0.113.0/24    deploy/web/front  TCP 443

policies changed: NetworkPolicy/shop/1, NetworkPolicy/shop/2, NetworkPolicy/shop/3, NetworkPolicy/shop/4, NetworkPolicy/shop/5 and 1 more
policies removed: NetworkPolicy/shop/db
opens 3 connections, closes 2, changes the families of 1
`)
	wide := text(t, func(w *strings.Builder) error { return render.DiffTable(w, d, true) })
	for _, want := range []string{
		"PODS     INGRESS BEFORE  INGRESS AFTER\n", // nothing has a rule of the other columns
		"TCP 80                                               shop/cart rule 0\n",
		"2/4>1/1  shop/db rule 0\n",
	} {
		if !strings.Contains(wide, want) {
			t.Errorf("the wide table is\n%s\nwant in it\n%s", wide, want)
		}
	}
}

// TestDiffVerdict: it counts pairs of workloads, and says when it does not speak of all.
func TestDiffVerdict(t *testing.T) {
	t.Parallel()
	change := func(kind netpoldv1.ChangeKind, src, dst uint32) *netpoldv1.Change {
		return &netpoldv1.Change{Kind: kind, SrcGroups: []uint32{src}, DstGroups: []uint32{dst}, Ports: allPorts()}
	}
	ns := &netpoldv1.Ends{Namespaces: []string{"shop"}}
	for want, test := range map[string]struct {
		request *netpoldv1.SimulateRequest
		summary *netpoldv1.SimulateSummary
		changes []*netpoldv1.Change
	}{
		"opens and closes no connection":                     {},
		"opens and closes no connection, of those asked for": {request: &netpoldv1.SimulateRequest{Dst: ns}},
		"opens 1 connection":                                 {changes: []*netpoldv1.Change{change(opened, 1, 3), change(opened, 2, 3)}},
		"closes 2 connections":                               {changes: []*netpoldv1.Change{change(closed, 1, 3), change(closed, 3, 1)}},
		"changes the families of 1 connection":               {changes: []*netpoldv1.Change{change(families, 1, 3)}},
		"opens 1 connection, closes 1":                       {changes: []*netpoldv1.Change{change(opened, 1, 3), change(closed, 1, 3)}},
		"opens 1 connection, of those asked for":             {request: &netpoldv1.SimulateRequest{Protocol: tcp}, changes: []*netpoldv1.Change{change(opened, 1, 3)}},
		"closes 1 connection, and there is more":             {summary: &netpoldv1.SimulateSummary{Truncated: true}, changes: []*netpoldv1.Change{change(closed, 1, 3)}},
		"opens 1 connection, changes the families of 1":      {changes: []*netpoldv1.Change{change(opened, 1, 3), change(families, 4, 5)}},
		"opens 2 connections, of those asked for":            {request: &netpoldv1.SimulateRequest{Src: &netpoldv1.Ends{Scope: netpoldv1.Scope_SCOPE_CLUSTER}}, changes: []*netpoldv1.Change{change(opened, 1, 3), change(opened, 4, 5)}},
	} {
		summary := test.summary
		if summary == nil {
			summary = new(netpoldv1.SimulateSummary)
		}
		if got := diffOf(t, shop(), test.request, summary, test.changes...).Verdict(); got != want {
			t.Errorf("the verdict is %q, want %q", got, want)
		}
	}
}

func TestDiffCSV(t *testing.T) {
	t.Parallel()
	same(t, text(t, func(w *strings.Builder) error { return render.DiffCSV(w, shopDiff(t)) }), `
change,src_namespace,src,dst_namespace,dst,ports,families,src_pods,dst_pods
changed,shop,deploy/shop/cart,shop,deploy/shop/cart,TCP 1-9,"IPv4 to IPv4,IPv6",2/4,2/4
opened,shop,deploy/shop/cart,shop,deploy/shop/db,TCP 80,,,
closed,shop,deploy/shop/cart,shop,deploy/shop/db,UDP 53,IPv6,2/4,1/1
opened,shop,shop/bare,,0.0.0.0/1,all,,,
opened,shop,shop/bare,,128.0.0.0/1,all,,,
opened,web,deploy/web/front,,0.0.0.0/1,all,,,
opened,web,deploy/web/front,,128.0.0.0/1,all,,,
closed,,203.0.113.0/24,web,deploy/web/front,TCP 443,,,
`)
}

func TestDiffPictures(t *testing.T) {
	t.Parallel()
	d := shopDiff(t)
	dot := text(t, func(w *strings.Builder) error { return render.DiffDOT(w, d) })
	for _, want := range []string{
		`label="opens 3 connections, closes 2, changes the families of 1"`,
		`n0 -> n1 [label="opened TCP 80\nclosed UDP 53 IPv6 (2/4>1/1)", color="#7a45a8", fontcolor="#7a45a8"]`,
		`[label="opened all", color="#c4420a", fontcolor="#c4420a"]`,
		`[label="closed TCP 443", color="#1f6fb5", style=dashed, fontcolor="#1f6fb5"]`,
	} {
		if !strings.Contains(dot, want) {
			t.Errorf("the graph is\n%s\nwant in it\n%s", dot, want)
		}
	}
	svg := text(t, func(w *strings.Builder) error { return render.DiffSVG(w, d) })
	wellFormed(t, svg)
	for _, want := range []string{
		"<title>What changes: opens 3 connections, closes 2, changes the families of 1</title>", ">+80,-u53*</text>", ">+all</text>",
		">-443</text>", ">~1-9*</text>", `fill="#c4420a"`, `fill="#1f6fb5"`, ">closed (-)</text>",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture is\n%s\nwant in it\n%s", svg, want)
		}
	}
	same := diffOf(t, shop(), nil, new(netpoldv1.SimulateSummary))
	svg = text(t, func(w *strings.Builder) error { return render.DiffSVG(w, same) })
	wellFormed(t, svg)
	dot = text(t, func(w *strings.Builder) error { return render.DiffDOT(w, same) })
	for name, got := range map[string]string{"dot": dot, "svg": svg} {
		if !strings.Contains(got, "opens and closes no connection") || strings.Contains(got, "cart") {
			t.Errorf("%s without changes is\n%s", name, got)
		}
	}
}

func TestDiffMarkdown(t *testing.T) {
	t.Parallel()
	d := shopDiff(t)
	got := text(t, func(w *strings.Builder) error { return render.DiffMarkdown(w, d) })
	if !strings.HasPrefix(got, "**opens 3 connections, closes 2, changes the families of 1**\n") {
		t.Errorf("it does not begin with the verdict:\n%s", got)
	}
	for _, want := range []string{
		"\n<details><summary>Opened: 3 lines</summary>\n\n| source | destination | ports | after |\n|---|---|---|---|\n",
		"\n| deploy/shop/cart | deploy/shop/db | UDP 53 | IPv6 | 2/4&gt;1/1 | ingress shop/db rule 0 |\n",
		"\n| deploy/web/front | 0.0.0.0/1, 128.0.0.0/1 | all |  |\n",
		"<summary>Closed: 2 lines</summary>", "<summary>Policies changed: 6</summary>\n\n- NetworkPolicy/shop/1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the comment is\n%s\nwant in it\n%s", got, want)
		}
	}
	if strings.Contains(got, "left out") || strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Errorf("the comment is\n%s", got)
	}
}

// TestDiffMarkdownFoldsRanges: what differs in its range alone is one line, which says how many it does not name.
func TestDiffMarkdownFoldsRanges(t *testing.T) {
	t.Parallel()
	var cidrs []string
	for i := range 9 {
		cidrs = append(cidrs, fmt.Sprintf("%d.0.0.0/8", i+1))
	}
	d := diffOf(t, shop(), nil, new(netpoldv1.SimulateSummary),
		&netpoldv1.Change{Kind: opened, SrcGroups: []uint32{4}, DstCidrs: cidrs, Ports: allPorts()},
		&netpoldv1.Change{Kind: closed, SrcCidrs: cidrs[:2], DstGroups: []uint32{4}, Ports: allPorts()[:1]},
		&netpoldv1.Change{Kind: closed, SrcCidrs: cidrs[:2], DstGroups: []uint32{4}, Ports: allPorts()[1:2]})
	got := text(t, func(w *strings.Builder) error { return render.DiffMarkdown(w, d) })
	for _, want := range []string{
		"\n| shop/bare | 1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 4.0.0.0/8, 5.0.0.0/8, 6.0.0.0/8 and 3 more | all |\n",
		"\n| 1.0.0.0/8, 2.0.0.0/8 | shop/bare | TCP 1-65535 |\n", "<summary>Opened: 1 line</summary>",
		"<summary>Closed: 2 lines</summary>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the comment is\n%s\nwant in it\n%s", got, want)
		}
	}
}

// TestDiffMarkdownIsCut: a comment has at most 60,000 characters, whole lines, something of each section, and
// says how many lines it lacks.
func TestDiffMarkdownIsCut(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	var changes []*netpoldv1.Change
	long := strings.Repeat("|", 253)
	var names []string
	for i := range 3000 {
		s.group(fmt.Sprintf("ns-%04d", i), fmt.Sprintf("w-%04d", i), nil, true, fmt.Sprintf("p-%04d", i))
		kind := opened
		if i%10 == 9 {
			kind = closed
		}
		changes = append(changes, &netpoldv1.Change{Kind: kind, SrcGroups: []uint32{uint32(i + 1)},
			DstGroups: []uint32{uint32(i + 1)}, Ports: allPorts()})
		names = append(names, fmt.Sprintf("NetworkPolicy/ns-%04d/%s", i, long))
	}
	d := diffOf(t, s, nil, &netpoldv1.SimulateSummary{PoliciesAdded: names, WorkloadsRemoved: []string{"Deployment/a/last"}}, changes...)
	got := text(t, func(w *strings.Builder) error { return render.DiffMarkdown(w, d) })
	if n := utf8.RuneCountInString(got); n > 60_000 || n < 50_000 {
		t.Errorf("it has %d characters", n)
	}
	lines := strings.Count(got, "\n| deploy/") + strings.Count(got, "\n- ")
	if want := fmt.Sprintf("\n%d lines are left out, so that", 6001-lines); !strings.Contains(got, want) {
		t.Errorf("it has %d lines, and does not say %q:\n%s", lines, want, got[:500])
	}
	sections := strings.Split(got, "<details>")[1:]
	if len(sections) != 4 {
		t.Fatalf("it has %d sections", len(sections))
	}
	for _, section := range sections {
		if !strings.HasSuffix(strings.TrimSpace(section), "</details>") {
			t.Errorf("a section is cut: %s", section[:200])
		}
		if !strings.Contains(section, "| deploy/") && !strings.Contains(section, "\n- ") {
			t.Errorf("a section has no line: %s", section)
		}
	}
	if !strings.HasPrefix(got, "**opens 2700 connections, closes 300**\n") {
		t.Errorf("it begins with %s", got[:100])
	}
}

// TestDiffHostileNames: each form shows them as text, and none lets a rune through that does not print.
func TestDiffHostileNames(t *testing.T) {
	t.Parallel()
	s := new(script)
	s.header()
	names := append(slices.Clone(hostile), "`x`", "[a](http://b)", "| x |", "</details>", "<!--", "www.evil.example", "**b**",
		"http://evil.example", "@all", "&lt;", ":tada:", "2001:db8:bee::1", "a:+1:", ":a_b::c:")
	for _, name := range names {
		s.group(name, name, nil, true, name)
		s.group(name, "", nil, true, name)
	}
	var all []uint32
	for id := range s.groups {
		all = append(all, id+1)
	}
	rule := &netpoldv1.ChangeRules{Ingress: &netpoldv1.RuleRef{Kind: hostile[3], Name: hostile[0] + hostile[3], RuleName: hostile[4]}}
	d := diffOf(t, s, nil, &netpoldv1.SimulateSummary{PoliciesAdded: names, WorkloadsAdded: names},
		&netpoldv1.Change{Kind: opened, SrcGroups: all[:3], DstGroups: all, Ports: allPorts(), AfterBy: rule},
		&netpoldv1.Change{Kind: closed, SrcGroups: all, DstCidrs: hostile[:2], Ports: allPorts(), BeforeBy: rule},
		&netpoldv1.Change{Kind: families, SrcCidrs: hostile[2:4], DstGroups: all, Ports: allPorts()})
	for name, write := range diffForms {
		got := text(t, func(w *strings.Builder) error { return write(w, d) })
		printable(t, name, got)
		switch name {
		case "svg":
			wellFormed(t, got)
		case "dot":
			quotedWhole(t, got)
		case "csv":
			if _, err := csv.NewReader(strings.NewReader(got)).ReadAll(); err != nil {
				t.Errorf("csv: %v", err)
			}
		case "markdown":
			onlyOwnMarkup(t, got)
		}
	}
}

// emoji is what code hosts make a picture of.
var emoji = regexp.MustCompile(`:[A-Za-z0-9_+-]+:`)

// onlyOwnMarkup checks that a comment has no markup but that of its own lines.
func onlyOwnMarkup(t *testing.T, comment string) {
	t.Helper()
	if len(comment) > 60_000 {
		t.Errorf("the comment has %d bytes", len(comment))
	}
	bars := 0 // of a line of the table
	for line := range strings.Lines(comment) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "|---") {
			bars = strings.Count(line, "|")
		}
		if strings.HasPrefix(line, "| source |") || strings.HasPrefix(line, "<details><summary>") || line == "</details>" || strings.HasPrefix(line, "|---") ||
			strings.HasPrefix(line, "**opens") || strings.Contains(line, "`-o html`") {
			continue
		}
		line = strings.ReplaceAll(line, ":<span></span>", ":\x00") // parts what would be an emoji, and is our own
		plain := strings.NewReplacer(`\\`, "", `\|`, "", "\\`", "", `\[`, "", `\]`, "", `\(`, "", `\)`, "", `\*`, "", `\_`, "",
			`\!`, "", `\{`, "", `\}`, "", `\#`, "", `\+`, "", `\~`, "", `\$`, "").Replace(line)
		if strings.ContainsAny(plain, "<>`[]*@") || strings.Contains(plain, "://") || strings.Contains(plain, "www.") {
			t.Errorf("markup that is somebody else's: %s", line)
		}
		if shown := strings.ReplaceAll(line, `\`, ""); emoji.MatchString(shown) {
			t.Errorf("an emoji: %s", line)
		}
		if cells := strings.Count(plain, "|"); cells != 0 && cells != bars {
			t.Errorf("%d bars: %s", cells, line)
		}
	}
}
