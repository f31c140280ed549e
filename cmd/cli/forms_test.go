package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/netpold/netpold/cmd/cli"
)

// -o yaml has the fields of -o json.
func TestYAML(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests", file)
	for name, args := range map[string][]string{
		"check":   {"check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080"},
		"version": {"version"},
		"status":  {"status", "--server", server.addr},
	} {
		t.Run(name, func(t *testing.T) {
			var fromJSON, fromYAML map[string]any
			if err := json.Unmarshal([]byte(netpold(t, append(args, "-o", "json")...).stdout), &fromJSON); err != nil {
				t.Fatal(err)
			}
			text := netpold(t, append(args, "-o", "yaml")...).stdout
			if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil {
				t.Fatal(err)
			}
			for field := range fromJSON {
				if _, has := fromYAML[field]; !has {
					t.Errorf("no %s in\n%s", field, text)
				}
			}
			if strings.ContainsAny(text, "{") && len(fromYAML) < 2 {
				t.Errorf("is JSON:\n%s", text)
			}
		})
	}
	netpold(t, "check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080", "-o", "yaml").want(t, 0,
		"allowed: true\nreason: REASON_ALLOWED_BY_RULE\n", "")
}

// With -o json a program that reads standard output reads the error too.
func TestErrorsAsJSON(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	for name, test := range map[string]struct {
		args   []string
		stdout string
		code   int
	}{
		"not found": {[]string{"check", "--manifests", file, "shop/nobody", "shop/cart-0", "-p", "80", "-o",
			"json"}, `"message": "src: Pod \"shop/nobody\"`, 5},
		"words": {[]string{"check", "--manifests", file, "nobody", "shop/cart-0", "-p", "80", "-o", "json"},
			`"message": "SRC: endpoint`, 2},
		"no question": {[]string{"check", "--manifests", file, "-o", "json"}, `"message": "no question`, 2},
		"no server": {[]string{"status", "--server", "127.0.0.1:1", "--timeout", "100ms", "-o", "json"},
			`"message": "--server 127.0.0.1:1: `, 0},
		"no files": {[]string{"check", "--manifests", "missing", "a/b", "c/d", "-p", "80", "-o", "json"},
			`"message": "--manifests missing: `, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpold(t, test.args...)
			got.want(t, 2, test.stdout, "netpold: ")
			var document struct {
				Error struct {
					Code    int
					Message string
				}
			}
			if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || document.Error.Message == "" {
				t.Fatalf("%v:\n%s", err, got.stdout)
			}
			if test.code != 0 && document.Error.Code != test.code {
				t.Errorf("code %d, want %d", document.Error.Code, test.code)
			}
		})
	}
	netpold(t, "check", "--manifests", file, "shop/nobody", "shop/cart-0", "-p", "80", "-o", "yaml").
		want(t, 2, "error:\n  code: 5\n", "netpold: ")
	netpold(t, "check", "--manifests", file, "shop/nobody", "shop/cart-0", "-p", "80").
		want(t, 2, "", "netpold: ")
}

// A line may say TCP, as people do, and --echo tells which answer is whose.
func TestLinesAsPeopleWriteThem(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	ask := func(line string, args ...string) string {
		return netpoldWith(t, nil, line+"\n",
			append([]string{"check", "--manifests", file, "-f", "-"}, args...)...).stdout
	}
	for _, word := range []string{"TCP", "tcp", "PROTOCOL_TCP"} {
		if got := ask(strings.Replace(allowedQuestion, "}", "}", 1)[:len(allowedQuestion)-1] + `,"protocol":"` +
			word + `"}`); !strings.HasPrefix(got, `{"allowed":true`) {
			t.Errorf("%s: %s", word, got)
		}
	}
	if got := ask(allowedQuestion[:len(allowedQuestion)-1] + `,"protocol":"ICMP"}`); !strings.Contains(got,
		`{"error":{"code":3`) {
		t.Error(got)
	}
	// A word of an enum may stand anywhere, but a label is not one, and errors have places of the text as it
	// was written.
	for _, protocol := range []string{`,"protocol":"udp"`, `, "protocol" : "PROTOCOL_UDP"`, `,"protocol":2`} {
		line := `{"src":{"pod":{"namespace":"shop","name":"web-0"}},"dst":{"labels":{"namespace":"shop",` +
			`"labels":{"app":"cart","protocol":"udp"},"named_ports":[{"name":"http","port":8080` + protocol +
			`}]}},"port":8080,"details":true}`
		if got := ask(line); !strings.Contains(got, `"allowed":true`) {
			t.Errorf("%s: %s", line, got)
		}
	}
	if got := ask(`{"protocol":"udp","src":{"ip":"10.0.0.1"},"dts":{}}`); !strings.Contains(got,
		`unknown field \"dts\" at column 43`) &&
		!strings.Contains(got, `at column 43`) {
		t.Error(got)
	}
	// Without details their fields are not there, empty.
	for _, field := range []string{`"port"`, `"protocol"`, `"notes"`, `"src"`} {
		if got := ask(allowedQuestion); strings.Contains(got, field) ||
			!strings.Contains(got, `"isolatedByTotal":0`) {
			t.Errorf("%s is in %s", field, got)
		}
		if got := ask(allowedQuestion[:len(allowedQuestion)-1] + `,"details":true}`); !strings.Contains(got,
			field) {
			t.Errorf("no %s in %s", field, got)
		}
	}
	got := ask("\n"+allowedQuestion+"\nnonsense", "--echo")
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0],
		`{"question":`+allowedQuestion+`,"answer":{"allowed":true`) ||
		!strings.HasPrefix(lines[1], `{"question":"nonsense","answer":{"error":{"code":3`) {
		t.Errorf("echoed:\n%s", got)
	}
	netpold(t, "check", "--echo", "a/b", "c/d", "-p", "80").want(t, 2, "", "--echo goes with -f")
}

func TestVersionFlag(t *testing.T) {
	flag, verb := netpold(t, "--version"), netpold(t, "version")
	if flag.stdout != verb.stdout || flag.code != 0 {
		t.Errorf("--version prints %q, version %q", flag.stdout, verb.stdout)
	}
}

// Colours are for terminals alone; what is painted is the verdict.
func TestColours(t *testing.T) {
	if got := cli.Paint("denied   a -> b 80/TCP\n  egress: allowed\nok     f:1\n"); got !=
		"\x1b[1;31mdenied\x1b[0m   a -> b 80/TCP\n  egress: allowed\n\x1b[1;32mok\x1b[0m     f:1\n" {
		t.Errorf("%q", got)
	}
	file := writeFile(t, "cluster.yaml", cluster)
	if got := netpold(t, "check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p",
		"8080"); strings.Contains(got.stdout, "\x1b") {
		t.Errorf("colours without a terminal: %q", got.stdout)
	}
}
