package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/netpold/netpold/cmd/cli"
)

// As kubectl-netpold the command speaks of "kubectl netpold", in help and in errors.
func TestAsPluginOfKubectl(t *testing.T) {
	run := func(args ...string) (string, int) {
		var out bytes.Buffer
		code := cli.RunAs(t.Context(), "/usr/local/bin/kubectl-netpold", args, strings.NewReader(""), &out,
			&out, nil)
		return out.String(), code
	}
	help, _ := run("check", "--help")
	for _, want := range []string{"Usage:\n  kubectl netpold check ",
		"\n  kubectl netpold check --manifests examples/shop", "| kubectl netpold token -f -"} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
	list, _ := run("--help")
	_, list, _ = strings.Cut(list, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var verbs []string
	for line := range strings.Lines(list) {
		verbs = append(verbs, strings.Fields(line)[0])
	}
	own := regexp.MustCompile(`netpold (` + strings.Join(verbs, "|") + `)\b`)
	for _, verb := range verbs {
		help, _ := run(verb, "--help")
		help = strings.ReplaceAll(strings.Join(strings.Fields(help), " "), "kubectl netpold", "")
		if found := own.FindString(help); found != "" {
			t.Errorf("the help of %s calls it %q", verb, found)
		}
	}
	wrong, code := run("check", "a/b")
	if code != 2 || !strings.Contains(wrong, "see 'kubectl netpold check --help'") {
		t.Errorf("%d: %s", code, wrong)
	}
	asked, _ := run("check", "a/b", "c/d", "-p", "80", "--server", "127.0.0.1:1", "--timeout", "50ms")
	if strings.Contains(asked, "'netpold status") {
		t.Error(asked)
	}
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	got := netpold(t, "man", dir)
	written, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got.want(t, 0, fmt.Sprintf("%d manual pages in %s\n", len(written), dir), "")
	for name, want := range map[string]string{"netpold.1": "netpold-check(1)", "netpold-check.1": "SRC DST"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q (%v):\n%.400s", name, want, err, text)
		}
	}
	netpold(t, "man").want(t, 2, "", "the directory is missing: give DIR")
	netpold(t, "man", dir, "x").want(t, 2, "", `"x" is one word too many`)
	netpold(t, "man", filepath.Join(writeFile(t, "file", ""), "sub")).want(t, 2, "", "not a directory")
}

// Ends and namespaces are completed from the manifests, a part at a time.
func TestCompletionOfEnds(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests", file)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"check", "--manifests", file, ""}, "shop/\n:6\n"},
		{[]string{"check", "--manifests", file, "shop/"}, "shop/cart-0\nshop/other-0\nshop/web-0\n:4\n"},
		{[]string{"check", "--manifests", file, "shop/w"}, "shop/web-0\n:4\n"},
		{[]string{"check", "--manifests", file, "shop/web-0", "s"}, "shop/\nsvc/\n:6\n"},
		{[]string{"check", "--manifests", file, "shop/web-0", "svc/shop/"}, "svc/shop/cart\n:4\n"},
		{[]string{"check", "--manifests", file, "shop/web-0", "shop/cart-0", ""}, ":4\n"},
		{[]string{"check", "--manifests", "missing", ""}, ":4\n"},
		{[]string{"check", "--server", server.addr, ""}, "shop/\n:6\n"},
		{[]string{"check", "--manifests", file, "--namespace", "s"}, "shop\n:4\n"},
	} {
		got := netpold(t, append([]string{"__complete"}, test.args...)...)
		if got.stdout != test.want {
			t.Errorf("%q is completed by\n%swant\n%s", test.args, got.stdout, test.want)
		}
	}
}

// TestCompletionFromAServer: a server is asked for what it has, silently, as files are.
func TestCompletionFromAServer(t *testing.T) {
	server := serve(t, "--manifests="+writeFile(t, "cluster.yaml", cluster))
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"check", "--server", server.addr, "sh"}, "shop/\n:6\n"},
		{[]string{"check", "--server", server.addr, "shop/"}, "shop/cart-0\nshop/other-0\nshop/web-0\n:4\n"},
		{[]string{"list", "--server", server.addr, "--src", ""}, "cluster\nexternal\nns/\nshop/\n:6\n"},
		{[]string{"list", "--server", server.addr, "--dst", "ns/"}, "ns/shop\n:4\n"},
		{[]string{"diff", "--server", server.addr, "--src", "shop/o"}, "shop/other-0\n:4\n"},
		{[]string{"diff", "--server", server.addr, "--fail-on", ""}, "any\nopened\nclosed\nnone\n:4\n"},
		{[]string{"diff", "--delete", ""}, ":4\n"},
		// Nobody is there: nothing is offered, and nothing is said.
		{[]string{"check", "--server", "127.0.0.1:1", "--timeout=100ms", "shop/"}, ":4\n"},
	} {
		got := netpold(t, append([]string{"__complete"}, test.args...)...)
		if got.code != 0 || got.stdout != test.want {
			t.Errorf("%q is completed by\n%swant\n%s(%s)", test.args, got.stdout, test.want, got.stderr)
		}
	}
}
