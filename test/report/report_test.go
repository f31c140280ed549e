package report_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/netpold/netpold/cmd/render/html"
	"github.com/netpold/netpold/test/report"
)

func listOf(t *testing.T, c *report.Cluster, o html.Options) []byte {
	t.Helper()
	text, err := c.ListReport(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// focused is the label of what has the focus.
const focused = "document.activeElement.getAttribute('aria-label')"

// A person finds a workload, goes to a cell and opens it, with nothing but a keyboard.
func TestByKeyboard(t *testing.T) {
	for _, size := range []int{12, 200} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p := open(
				t,
				listOf(t, report.NewCluster(size), html.Options{}),
				"",
				scheme("light", 1280, 900)...)
			p.press(kb.Tab)
			p.press(strings.Split("checkout", "")...)
			p.waitFor("location.hash === '#q=checkout'")
			p.focusMatrix()
			p.press(kb.Home)
			p.pressUntil(kb.ArrowDown, "/cart to ")
			p.pressUntil(kb.ArrowRight, "/checkout: ")
			if got := eval[string](p, focused); !strings.HasSuffix(
				got,
				"partly open. TCP 7003,9090; egress by "+first(
					size,
				)+"/cart rule 1, ingress by "+first(
					size,
				)+"/checkout rule 0",
			) {
				t.Errorf("the cell says %q", got)
			}
			if tip := p.text("#tip"); !strings.Contains(tip, "TCP 7003,9090") {
				t.Errorf("the tip says %q", tip)
			}
			p.press(kb.Enter)
			p.waitFor("document.activeElement.closest('#details') !== null")
			for _, want := range []string{"partly open", "TCP 7003,9090", "checkout rule 0", "cart rule 1"} {
				if details := p.text("#details"); !strings.Contains(details, want) {
					t.Errorf("the details lack %q: %q", want, details)
				}
			}
			p.press(kb.Escape)
			p.waitFor("document.activeElement.getAttribute('role') === 'gridcell'")
		})
	}
}

// first is the namespace of the first workloads.
func first(size int) string {
	if size <= 12 {
		return "shop"
	}
	return "shop-000"
}

// focusMatrix presses Tab until the matrix has the focus.
func (p *page) focusMatrix() {
	p.Helper()
	for range 30 {
		p.press(kb.Tab)
		if eval[bool](p, "document.activeElement.closest('[role=grid]') !== null") {
			return
		}
	}
	p.Fatal("Tab does not lead to the matrix")
}

// pressUntil presses a key until the focused cell says something.
func (p *page) pressUntil(key, want string) {
	p.Helper()
	var said []string
	for range 60 {
		said = append(said, eval[string](p, focused))
		if strings.Contains(said[len(said)-1], want) {
			return
		}
		p.press(key)
	}
	p.Fatalf("no cell says %q, only %q", want, said)
}

// The key / goes to the search, except where it is typed.
func TestSearchKey(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(12), html.Options{}), "")
	type result struct{ Prevented, Focused bool }
	slash := func() result {
		return eval[result](p, `(() => {
			const event = new KeyboardEvent('keydown', { key: '/', bubbles: true, cancelable: true });
			const Prevented = !document.activeElement.dispatchEvent(event);
			return { Prevented, Focused: document.activeElement.name === 'q' };
		})()`)
	}
	if got := slash(); got != (result{true, true}) {
		t.Errorf("from the page: %+v, want the focus in the search and nothing typed", got)
	}
	if got := slash(); got != (result{false, true}) {
		t.Errorf("in the search: %+v, want it typed", got)
	}
}

// The filter is in the address: who opens it there sees the same, with the controls set to it.
func TestFilterInTheAddress(t *testing.T) {
	text := listOf(t, report.NewCluster(200), html.Options{})
	fragment := "view=list&q=checkout&side=to&port=9090&ns=shop-000"
	p := open(t, text, fragment)
	p.waitFor("document.querySelectorAll('.list tbody tr').length > 0")
	want := []string{
		"shop-000/frontend shop-000/checkout TCP 9090", "shop-000/cart shop-000/checkout TCP 9090",
		"auth-005/ads shop-000/checkout TCP 9090",
	}
	if got := p.rows(); !slices.Equal(got, want) {
		t.Errorf("the list has %q, want %q", got, want)
	}
	values := eval[[]string](
		p,
		"[...document.querySelectorAll('#controls [name]')].map((c) => c.name + '=' + c.value)",
	)
	for _, want := range []string{"q=checkout", "side=to", "port=9090", "ns=shop-000"} {
		if !slices.Contains(values, want) {
			t.Errorf("the controls are %q, want %s", values, want)
		}
	}
	// What a person changes there changes the address, and the address changes what is shown.
	p.run(chromedp.Evaluate[chromedp.Void]("document.querySelector('[name=outside]').click()"))
	p.waitFor("location.hash.includes('outside=1')")
	if got := p.rows(); len(got) != 0 {
		t.Errorf("from the outside: %q, want none", got)
	}
	p.run(chromedp.Evaluate[chromedp.Void]("location.hash = '#view=list&q=frontend&outside=1&ns=shop-000'"))
	p.waitFor("document.querySelector('[name=q]').value === 'frontend'")
	if got, want := p.rows(), []string{"Outside0.0.0.0/0 shop-000/frontend TCP 8080,8443"}; !slices.Equal(
		got,
		want,
	) {
		t.Errorf("the list has %q, want %q", got, want)
	}
	p.run(chromedp.Evaluate[chromedp.Void]("document.querySelector('#clear').click()"))
	p.waitFor("location.hash === '#view=list'")
	// A port that is none is told, and filters nothing.
	p.run(chromedp.Evaluate[chromedp.Void]("location.hash = '#port=70000'"))
	p.waitFor("document.querySelector('#port-error').textContent.startsWith('70000 is not a port')")
}

// rows returns source, destination and ports of the list's lines.
func (p *page) rows() []string {
	p.Helper()
	return eval[[]string](p, "[...document.querySelectorAll('.list tbody tr')].map((tr) => "+
		"[1, 2, 3].map((i) => tr.children[i].textContent).join(' '))")
}

// The filters of isolation and exposure leave in what they name.
func TestIsolationAndExposure(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(36), html.Options{}), "view=list&exposed=1&side=to")
	p.waitFor("document.querySelectorAll('.list tbody tr').length > 0")
	destinations := "[...new Set([...document.querySelectorAll('.list tbody tr td:nth-child(3)')]" +
		".map((td) => td.textContent))].sort()"
	got := eval[[]string](p, destinations)
	if len(got) != 14 || !slices.Contains(got, "shop-000/frontend") ||
		!slices.Contains(got, "pay-001/redis") {
		t.Errorf("exposed are %q, want pay-001 and both frontends of isolated namespaces", got)
	}
	p.run(chromedp.Evaluate[chromedp.Void]("location.hash = '#view=list&iso=isolated&side=to'"))
	p.waitFor("document.querySelector('[name=iso]').value === 'isolated'")
	for _, name := range eval[[]string](p, destinations) {
		if strings.HasPrefix(name, "pay-") {
			t.Errorf("isolated: %s, which is not", name)
		}
	}
}

// The graph has the sources of what is selected, and its destinations, with ports.
func TestGraph(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(12), html.Options{}), "view=graph&sel=shop%2FDeployment%2Fcart")
	p.waitFor("document.querySelectorAll('.node').length > 0")
	side := func(name string) []string {
		return eval[[]string](
			p,
			"[...document.querySelectorAll('.graph-column."+name+" .node')].map((n) => n.textContent)",
		)
	}
	if got, want := side("left"), []string{"shop/frontendpartly open, TCP 7002,9090"}; !slices.Equal(
		got,
		want,
	) {
		t.Errorf("sources %q, want %q", got, want)
	}
	want := []string{"shop/checkoutpartly open, TCP 7003,9090", "shop/catalogpartly open, TCP 7004,9090",
		"shop/paymentpartly open, TCP 7005,9090"}
	if got := side("right"); !slices.Equal(got, want) {
		t.Errorf("destinations %q, want %q", got, want)
	}
	if n := eval[int](p, "document.querySelectorAll('.arrows .arrow').length"); n != 4 {
		t.Errorf("%d arrows, want 4", n)
	}
}

// A click opens a cell, and the pointer over it tells what is in it.
func TestByPointer(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(12), html.Options{}), "", scheme("light", 1280, 900)...)
	p.waitFor("document.querySelectorAll('.rows .line').length === 14")
	at := eval[[]float64](p, `(() => {
		const lines = (side) => [...document.querySelectorAll('.' + side + ' .line')];
		const line = (side, name) => lines(side).find((l) => l.textContent === name).getBoundingClientRect();
		return [line('columns', 'checkout').left + 12, line('rows', 'cart').top + 12];
	})()`)
	p.run(chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]))
	p.waitFor("!document.querySelector('#tip').hidden")
	if tip := p.text("#tip"); !strings.Contains(tip, "shop/cart \u2192 shop/checkout") ||
		!strings.Contains(tip, "TCP 7003,9090") {
		t.Errorf("the tip says %q", tip)
	}
	p.run(chromedp.MouseClickXY(at[0], at[1]))
	p.waitFor("location.hash === '#sel=shop%2FDeployment%2Fcart&to=shop%2FDeployment%2Fcheckout'")
	if details := p.text("#details"); !strings.Contains(details, "TCP 7003,9090") {
		t.Errorf("the details are %q", details)
	}
}

// With 2,000 workloads the page begins with namespaces, and one unfolds by keyboard. Above the limit it says
// what it left out, and how to narrow.
func TestManyWorkloads(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(2000), html.Options{}), "")
	rows := "Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount'))"
	if n := eval[int](p, rows); n != 169 {
		t.Errorf("%d rows, want the outside, 167 namespaces and their heading", n)
	}
	p.focusMatrix()
	p.press(kb.ArrowLeft, kb.ArrowDown)
	if got := eval[string](p, focused); got != "from namespace shop-000" {
		t.Fatalf("the focus is on %q", got)
	}
	p.press(kb.Enter)
	p.waitFor(rows + " === 181")
	p.waitFor("location.hash === '#fold=ns%2Fshop-000'")
	if n := eval[int](p, "document.querySelectorAll('*').length"); n > 3000 {
		t.Errorf("the page has %d elements: it draws what is not in sight", n)
	}

	p = open(t, listOf(t, report.NewCluster(2100), html.Options{}), "")
	if got := p.text("#notices"); !strings.Contains(got, "2,100 workloads") ||
		!strings.Contains(got, "--src ns/NAME") {
		t.Errorf("the notice is %q", got)
	}
}

// Names are shown as text, whatever they are: nothing of them runs, and nothing hides.
func TestHostileNames(t *testing.T) {
	for _, view := range []string{"matrix", "list", "graph"} {
		p := open(
			t,
			listOf(t, report.NewHostile(), html.Options{Command: report.Hostile[1]}),
			"view="+view+"&q=a",
		)
		p.run(chromedp.Evaluate[chromedp.Void]("location.hash = '#all=open&view=" + view + "'"))
		p.waitFor("document.querySelectorAll('.rows .line').length > 0 || " + fmt.Sprint(view != "matrix"))
		if got := eval[string](p, "document.title"); got != "Who may reach whom \u00b7 manifests of examples" {
			t.Errorf("the title is %q", got)
		}
		if n := eval[int](p, "document.querySelectorAll('script').length"); n != 2 {
			t.Errorf("%d script elements, want 2", n)
		}
		if n := eval[int](p, "document.querySelectorAll('img, iframe, b, a').length"); n != 0 {
			t.Errorf("%d elements that the page does not make", n)
		}
		text := eval[string](
			p,
			"[...document.querySelectorAll('body > :not(script)')].map((n) => n.textContent)"+
				".concat([...document.querySelectorAll('[aria-label]')].map((n) => n.getAttribute('aria-label'))).join()",
		)
		if strings.ContainsAny(text, "\u202e\u200f\u200e\u2028") {
			t.Errorf("%s: a mark that changes the direction of text is in the page as it is", view)
		}
	}
	p := open(t, listOf(t, report.NewHostile(), html.Options{}), "", scheme("light", 1280, 1400)...)
	p.waitFor("document.querySelectorAll('.rows .line').length > 0")
	lines := eval[[]string](
		p,
		"[...document.querySelectorAll('.rows .line')].map((line) => line.textContent)",
	)
	for _, want := range []string{
		"<script>alert(1)</script>", `a\u202egnp.exe`, "&lt;b&gt;", "<!--", "__proto__", `line\u2028break\x0anew`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line is named %q: %q", want, lines)
		}
	}
}

// A request for some ends says nothing of the others: their cells are blank, not closed.
func TestNotAsked(t *testing.T) {
	request := report.ToWorkload("shop", "Deployment", "cart")
	p := open(
		t,
		listOf(t, report.NewCluster(12), html.Options{Request: request}),
		"sel=shop%2FDeployment%2Fads&to=shop%2FDeployment%2Fcart",
	)
	if got := p.text("#details"); !strings.Contains(got, "closed") {
		t.Errorf("ads to cart: %q, want closed", got)
	}
	p.run(
		chromedp.Evaluate[chromedp.Void](
			"location.hash = '#sel=shop%2FDeployment%2Fads&to=shop%2FDeployment%2Ffrontend'",
		),
	)
	p.waitFor("document.querySelector('#details').textContent.includes('not in this list')")
}

// A report that broke off says so first, and claims nothing to be closed.
func TestBrokenOff(t *testing.T) {
	text := listOf(t, report.NewCluster(12), html.Options{})
	cut := strings.Index(string(text), `{"summary"`)
	tail := strings.LastIndex(string(text), "</script>\n<script>")
	p := open(
		t,
		append(slices.Clone(text[:cut-20]), text[tail:]...),
		"sel=shop%2FDeployment%2Fads&to=shop%2FDeployment%2Fcart",
	)
	if got := p.text("#notices"); !strings.HasPrefix(got, "This report is incomplete") {
		t.Errorf("the notice is %q", got)
	}
	if got := p.text("#details .badge"); got != "not in this list" {
		t.Errorf("a pair without connection is %q", got)
	}
	// Without the script at its end the page is what stands before the data.
	p = open(t, text[:cut], "")
	if got := p.text("#notices"); !strings.Contains(got, "the report is incomplete") {
		t.Errorf("the notice is %q", got)
	}
}

// A difference shows what is opened and what is closed, by word and mark.
func TestDifference(t *testing.T) {
	text, err := report.NewCluster(12).DiffReport(html.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := open(t, text, "view=list")
	p.waitFor("document.querySelectorAll('.list tbody tr').length > 0")
	got := eval[[]string](p, "[...document.querySelectorAll('.list tbody tr')].map((tr) => "+
		"[0, 1, 2, 3, 5].map((i) => tr.children[i].textContent).join(' '))")
	want := []string{
		"opened shop/frontend shop/cart TCP 8080 after: ingress shop/cart rule 0",
		"closed shop/frontend shop/cart TCP 9090 before: ingress shop/cart rule 0",
		"opened shop/shipping shop/email TCP 8080 after: ingress shop/email rule 0",
		"closed shop/currency shop/recommendation TCP 9090 before: ingress shop/recommendation rule 0",
		"opened shop/loadgenerator shop/redis TCP 8080 after: ingress shop/redis rule 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the list has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if head := p.text("#head"); !strings.Contains(head, "opens 3, closes 2") ||
		!strings.Contains(head, "shop/extra") {
		t.Errorf("the head is %q", head)
	}
}

// Nothing is wider than the window, whatever its names; on a wide screen the page itself does not scroll, and the
// matrix is drawn to its edge.
func TestLayout(t *testing.T) {
	pages := map[string][]byte{
		"a shop":        listOf(t, report.NewCluster(12), html.Options{Command: "netpold list"}),
		"hostile names": listOf(t, report.NewHostile(), html.Options{Command: strings.Join(report.Hostile, " ")}),
	}
	hostile := "sel=" + url.QueryEscape(report.Hostile[11]+"/Deployment/"+report.Hostile[11])
	for name, text := range pages {
		for _, width := range []int64{360, 1280} {
			for _, view := range []string{"matrix", "graph", "list"} {
				t.Run(fmt.Sprintf("%s/%d/%s", name, width, view), func(t *testing.T) {
					fragment := "view=" + view + "&" + hostile
					if name == "a shop" {
						fragment = "view=" + view + "&sel=shop%2FDeployment%2Fcart"
					}
					p := open(t, text, fragment, scheme("light", width, 900)...)
					p.waitFor("document.querySelector('#details h2') !== null")
					if got := eval[int64](p, "document.documentElement.scrollWidth"); got > width {
						t.Errorf("the page is %d wide", got)
					}
					if got := eval[int](p, "document.documentElement.scrollHeight"); width > 1000 && got > 900 {
						t.Errorf("the page is %d high", got)
					}
					if view == "matrix" {
						p.waitFor("document.querySelector('.frame canvas').clientHeight === " +
							"document.querySelector('.matrix').clientHeight")
					}
				})
			}
		}
	}
}

// What is printed is the head and the list, whatever view is on the screen.
func TestPrint(t *testing.T) {
	p := open(t, listOf(t, report.NewCluster(12), html.Options{}), "q=cart")
	p.waitFor("document.querySelectorAll('.rows .line').length > 0")
	p.run(
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}),
		chromedp.Evaluate[chromedp.Void]("dispatchEvent(new Event('beforeprint'))"),
	)
	display := func(selector string) string {
		return eval[string](p, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).display", selector))
	}
	for selector, want := range map[string]string{
		"#list-view": "block", "#matrix-view": "none", "#controls form": "none", "#details": "none", "#head": "block",
	} {
		if got := display(selector); got != want {
			t.Errorf("%s is printed as %s, want %s", selector, got, want)
		}
	}
	if got := len(p.rows()); got != 4 {
		t.Errorf("%d lines are printed, want those that the filter leaves in: 4", got)
	}
}
