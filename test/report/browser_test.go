package report_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browsers are the names under which Chromium is installed.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "chrome"}

// browser is the one that all tests share; nil without one. errStart is why the one that is installed does not
// start.
var (
	browser  context.Context
	errStart error
)

func TestMain(m *testing.M) {
	var path string
	for _, name := range browsers {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		// make test-report says loudly that nothing is tested; go test hides what a test prints that passes.
		m.Run()
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(2*time.Minute), // it starts from a cold disk
		chromedp.Flag("disable-quic", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	browser, errStart = ctx, chromedp.Do(ctx)
	m.Run()
}

// A page is a tab with a report. It notes every request and every message on the console.
type page struct {
	*testing.T
	ctx  context.Context //nolint:containedctx // chromedp's tabs are contexts
	file string

	mu       sync.Mutex
	requests []string
	messages []string
}

// open opens a report in a tab of its own. The fragment may be empty.
func open(t *testing.T, report []byte, fragment string, actions ...action) *page {
	t.Helper()
	if browser == nil {
		t.Skip("no browser: install Debian's package chromium")
	}
	if errStart != nil {
		t.Fatalf("the browser does not start: %v", errStart)
	}
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	p := &page{T: t, ctx: ctx, file: filepath.Join(t.TempDir(), "report.html")}
	if err := os.WriteFile(p.file, report, 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(actions...)
	if err := chromedp.Listen(ctx, p.note); err != nil {
		t.Fatal(err)
	}
	p.run(
		command(network.Enable, network.EnableParams{}),
		command(log.Enable, cdp.Empty{}),
		chromedp.Navigate(p.url(fragment)),
	)
	t.Cleanup(p.checkQuiet)
	return p
}

func (p *page) url(fragment string) string {
	url := "file://" + p.file
	if fragment != "" {
		url += "#" + fragment
	}
	return url
}

// note keeps what the browser tells of requests and messages.
func (p *page) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		p.messages = append(p.messages, fmt.Sprintf("console.%s %v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		p.messages = append(p.messages, (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *log.EventEntryAdded:
		p.messages = append(p.messages, e.Entry.Text)
	}
}

// checkQuiet fails a test whose page asked for anything but itself, or said anything on the console.
func (p *page) checkQuiet() {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	own := func(url string) bool { return strings.HasPrefix(url, p.url("")) }
	if others := slices.DeleteFunc(slices.Clone(p.requests), own); len(others) > 0 {
		p.Errorf("the report requests %v", others)
	}
	if len(p.requests) == 0 {
		p.Error("the browser told of no request, not even of the report itself")
	}
	if len(p.messages) > 0 {
		p.Errorf("messages on the console: %q", p.messages)
	}
}

// An action is a step in the browser.
type action = chromedp.Action[chromedp.Void]

// command returns a step that sends a command of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) action {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, c, params)
		return chromedp.Void{}, err
	}
}

func (p *page) run(actions ...action) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

// eval returns the value of an expression in the page.
func eval[V any](p *page, expression string) V {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[V](expression))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// waitFor waits until an expression is true.
func (p *page) waitFor(expression string) {
	p.Helper()
	poll := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(20*time.Second))
	if err := chromedp.Do(p.ctx, poll); err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
}

// press sends keys to what has the focus.
func (p *page) press(keys ...string) {
	p.Helper()
	for _, key := range keys {
		p.run(chromedp.KeyEvent(key))
	}
}

// text returns the text of the first element that matches.
func (p *page) text(selector string) string {
	p.Helper()
	return eval[string](p, fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector))
}

// scheme sets the colour scheme and the size of the window.
func scheme(name string, width, height int64) []action {
	return []action{
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		}),
		chromedp.EmulateViewport(width, height),
	}
}

// shoot writes a picture of the window to the folder that REPORT_SHOTS names, for people to look at.
func (p *page) shoot(name string) {
	p.Helper()
	dir := os.Getenv("REPORT_SHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600); err != nil {
		p.Fatal(err)
	}
}
