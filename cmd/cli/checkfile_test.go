package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/cmd/cli"
)

const (
	allowedQuestion = `{"src":{"pod":{"namespace":"shop","name":"web-0"}},"dst":{"ip":"10.0.0.2"},"port":8080}`
	deniedQuestion  = `{"src":{"ip":"10.0.0.3"},"dst":{"pod":{"namespace":"shop","name":"cart-0"}},"port":8080,"protocol":"PROTOCOL_TCP"}`
)

// answer is a line of answers, as a script sees it.
type answer struct {
	Allowed *bool
	Reason  string
	Error   *struct {
		Code    int
		Message string
		Details []map[string]any
	}
}

func parseAnswers(t *testing.T, text string) []answer {
	t.Helper()
	var answers []answer
	for line := range strings.Lines(text) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("line %d is not JSON: %v\n%s", len(answers)+1, err, line)
		}
		if (a.Allowed == nil) == (a.Error == nil) {
			t.Fatalf("line %d is neither an answer nor an error, or both:\n%s", len(answers)+1, line)
		}
		answers = append(answers, a)
	}
	return answers
}

// detail is the detail of an error of one type.
func (a *answer) detail(t *testing.T, kind string) map[string]any {
	t.Helper()
	for _, detail := range a.Error.Details {
		if detail["@type"] == "type.googleapis.com/google.rpc."+kind {
			return detail
		}
	}
	t.Errorf("error has no %s: %+v", kind, a.Error)
	return nil
}

// tokenOrRevision differs between two processes.
var tokenOrRevision = regexp.MustCompile(`"(token|revision)":"[^"]*"`)

// TestLinesAreAnsweredInOrder asks thousands of questions, some of them wrong, in both ways; the server takes
// smaller batches than the command asks.
func TestLinesAreAnsweredInOrder(t *testing.T) {
	const n = 5000
	var questions strings.Builder
	for i := range n {
		switch i % 5 {
		case 0:
			questions.WriteString(allowedQuestion)
		case 1:
			questions.WriteString("  " + deniedQuestion + "\r")
		case 2: // wrong for the server
			fmt.Fprintf(&questions, `{"src":{"ip":"10.0.0.3"},"dst":{"ip":"nowhere-%d"},"port":1}`, i)
		case 3: // wrong already here
			fmt.Fprintf(&questions, `{"scr":%d}`, i)
		case 4: // unknown
			fmt.Fprintf(&questions, `{"src":{"pod":{"namespace":"shop","name":"p-%d"}},"dst":{"ip":"10.0.0.2"},"port":1}`, i)
		}
		questions.WriteString("\n")
	}
	file := writeFile(t, "cluster.yaml", cluster)
	asked := writeFile(t, "questions.jsonl", questions.String())
	server := serve(t, "--manifests", file, "--max-batch=150")
	local := netpold(t, "check", "--manifests", file, "-f", asked)
	remote := netpoldWith(t, nil, questions.String(), "check", "--server", server.addr, "-f", "-")

	const summary = "netpold: 3000 of 5000 lines were not answered; the first is line 3: dst.ip: \"nowhere-2\" is not an IPv4 or IPv6 address"
	local.want(t, 2, `{"allowed":true,`, summary)
	remote.want(t, 2, `{"allowed":true,`, summary)
	same := func(text string) []string {
		return strings.Split(tokenOrRevision.ReplaceAllString(text, `"$1":""`), "\n")
	}
	ofServer := same(remote.stdout)
	for i, line := range same(local.stdout) {
		if i >= len(ofServer) || line != ofServer[i] {
			t.Fatalf("answer %d differs: from manifests\n%s\nfrom the server\n%s", i, line,
				ofServer[min(i, len(ofServer)-1)])
		}
	}
	answers := parseAnswers(t, local.stdout)
	if len(answers) != n {
		t.Fatalf("%d answers to %d questions", len(answers), n)
	}
	for i, a := range answers {
		var ok bool
		switch i % 5 {
		case 0:
			ok = a.Error == nil && *a.Allowed
		case 1:
			ok = a.Error == nil && !*a.Allowed && a.Reason == "REASON_DENIED_AT_INGRESS"
		case 2:
			ok = a.Error != nil && a.Error.Code == 3 &&
				strings.HasPrefix(a.Error.Message, fmt.Sprintf(`dst.ip: "nowhere-%d"`, i))
		case 3:
			ok = a.Error != nil && a.Error.Code == 3 && strings.Contains(a.Error.Message, `unknown field "scr"`)
		case 4:
			ok = a.Error != nil && a.Error.Code == 5 && strings.Contains(a.Error.Message, fmt.Sprintf("shop/p-%d", i))
		}
		if !ok {
			t.Fatalf("answer %d is %+v, %+v", i, a, a.Error)
		}
	}
}

// TestErrorsHaveTheirDetails: a wrong line has those of a question asked alone.
func TestErrorsHaveTheirDetails(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	for name, test := range map[string]struct {
		line, message, reason, field string
		code                         int
	}{
		"not JSON": {line: "hello", message: "not a question: syntax error at column 1: ",
			reason: "INVALID_QUESTION"},
		"not text": {line: "\x97", message: "not a question: ", reason: "INVALID_QUESTION"},
		"long": {line: strings.Repeat("7", 1<<19), message: "777...; write one",
			reason: "INVALID_QUESTION"},
		"null": {line: "null", message: "not a question: ", reason: "INVALID_QUESTION"},
		"list": {line: "[]", message: "not a question: ", reason: "INVALID_QUESTION"},
		"two in a line": {line: allowedQuestion + allowedQuestion, message: "not a question: ",
			reason: "INVALID_QUESTION"},
		"unknown field": {line: `{"src":{"pods":{}}}`,
			message: `not a question: at column 9: unknown field "pods"`, reason: "INVALID_QUESTION", field: "pods"},
		"wrong type": {line: `{"port":"http"}`, message: `port`, reason: "INVALID_QUESTION", field: "port"},
		"port too large": {line: `{"port":70000000000}`, message: `port`, reason: "INVALID_QUESTION",
			field: "port"},
		"protocol": {line: `{"protocol":"PROTOCOL_ICMP"}`, message: "protocol", reason: "INVALID_QUESTION",
			field: "protocol"},
		"nothing": {line: "{}", message: "src: is required", reason: "INVALID_QUESTION", field: "src"},
		"no port": {line: `{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.2"}}`,
			message: "port: 0 is not a port; give 1 to 65535", reason: "INVALID_QUESTION", field: "port"},
		"token": {
			line: strings.TrimSuffix(allowedQuestion, "}") + `,"at_least":"x"}`, message: "at_least: ",
			reason: "INVALID_QUESTION", field: "at_least",
		},
		"too long": {line: strings.Repeat("x", 1<<20), message: "a line of more than 1048576 bytes: shorten it",
			reason: "INVALID_QUESTION"},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, nil, allowedQuestion+"\n"+test.line+"\n"+deniedQuestion, "check", "--manifests",
				file, "-f", "-")
			got.want(t, 2, `{"allowed":true,`, "netpold: 1 of 3 lines were not answered; the first is line 2: ")
			answers := parseAnswers(t, got.stdout)
			if len(answers) != 3 || answers[1].Error == nil || answers[2].Error != nil {
				t.Fatalf("answers are %+v, want the second of three to be an error", answers)
			}
			failed := answers[1]
			if failed.Error.Code != 3 || !strings.Contains(failed.Error.Message, test.message) ||
				strings.Contains(failed.Error.Message, "questions[") {
				t.Errorf("error is %d %q, want 3 %q", failed.Error.Code, failed.Error.Message, test.message)
			}
			if info := failed.detail(t, "ErrorInfo"); info["reason"] != test.reason || info["domain"] != "netpold" {
				t.Errorf("ErrorInfo is %v, want reason %s", info, test.reason)
			}
			violations, _ := failed.detail(t, "BadRequest")["fieldViolations"].([]any)
			if len(violations) == 0 {
				t.Fatal("no field is named")
			}
			first, _ := violations[0].(map[string]any)
			if field, _ := first["field"].(string); field != test.field {
				t.Errorf("field is %q, want %q", field, test.field)
			}
		})
	}
}

// TestLinesExitCodes: denied is answered.
func TestLinesExitCodes(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	for name, test := range map[string]struct {
		stdin string
		code  int
		lines int
	}{
		"all denied":        {deniedQuestion + "\n" + deniedQuestion + "\n", 0, 2},
		"no newline at end": {deniedQuestion + "\n" + allowedQuestion, 0, 2},
		"empty":             {"", 0, 0},
		"blank lines":       {"\n \n\t\r\n" + allowedQuestion + "\n\n", 0, 1},
		"one wrong":         {deniedQuestion + "\n{\n", 2, 2},
		"longest line":      {strings.Repeat(" ", 1<<20-len(allowedQuestion)-1) + allowedQuestion + "\n", 0, 1},
		"too long, at end":  {deniedQuestion + "\n" + strings.Repeat(" ", 3<<20), 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpoldWith(t, nil, test.stdin, "check", "--manifests", file, "-f", "-")
			if got.code != test.code || strings.Count(got.stdout, "\n") != test.lines {
				t.Errorf("exit code is %d with %d lines, want %d with %d:\n%s", got.code, strings.Count(got.stdout, "\n"),
					test.code, test.lines, got.stderr)
			}
		})
	}
}

// TestLinesAreAnsweredAtOnce holds a conversation: each question is answered before the next is asked.
func TestLinesAreAnsweredAtOnce(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests", file)
	for name, where := range map[string]string{"manifests": "--manifests=" + file,
		"server": "--server=" + server.addr} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			stdin, ask := io.Pipe()
			answers, stdout := io.Pipe()
			var stderr bytes.Buffer
			code := make(chan int, 1)
			go func() {
				code <- cli.Run(ctx, []string{"check", where, "-f", "-"}, stdin, stdout, &stderr, nil)
				stdout.Close() //nolint:errcheck // it never fails
			}()
			// Should an answer stay away, its reader is woken.
			stopped := context.AfterFunc(ctx, func() { stdout.CloseWithError(ctx.Err()) })
			defer stopped()
			read := bufio.NewReader(answers)
			for i := range 20 {
				question, want := allowedQuestion, `{"allowed":true,`
				if i%2 == 1 {
					question, want = deniedQuestion, `{"allowed":false,`
				}
				if _, err := io.WriteString(ask, question+"\n"); err != nil {
					t.Fatal(err)
				}
				got, err := read.ReadString('\n')
				if err != nil || !strings.HasPrefix(got, want) {
					t.Fatalf("answer %d is %q (%v), want %s", i, got, err, want)
				}
			}
			ask.Close() //nolint:errcheck // it never fails
			if got := <-code; got != 0 {
				t.Errorf("exit code is %d:\n%s", got, stderr.String())
			}
		})
	}
}

// TestLinesKeepTheirPlacesWithoutAServer: nothing is answered, and every line says so.
func TestLinesKeepTheirPlacesWithoutAServer(t *testing.T) {
	closed := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster))
	closed.end(t, 0)
	got := netpoldWith(t, nil, allowedQuestion+"\nx\n"+deniedQuestion+"\n", "check", "--server", closed.addr,
		"--timeout=20s", "-f", "-")
	sentence := "--server " + closed.addr + ": cannot be asked: "
	got.want(t, 2, `{"error":{"code":14,"message":"`+sentence,
		"netpold: 3 of 3 lines were not answered; the first is line 1: "+sentence)
	if !strings.Contains(got.stdout,
		": is netpold serving there, ready, and with TLS or without as here (--tls)?\"") {
		t.Errorf("the answers do not say what to do:\n%s", got.stdout)
	}
	var codes []int
	for _, a := range parseAnswers(t, got.stdout) {
		codes = append(codes, a.Error.Code)
	}
	if diff := cmp.Diff([]int{14, 3, 14}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

// failingReader fails after a first line.
type failingReader struct{ text io.Reader }

func (r failingReader) Read(p []byte) (int, error) {
	n, err := r.text.Read(p)
	if err != nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// failingWriter is a full disk.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestLinesWhenReadingOrWritingFails(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	var stdout, stderr bytes.Buffer
	code := cli.Run(t.Context(), []string{"check", "--manifests", file, "-f", "-"},
		failingReader{strings.NewReader(allowedQuestion + "\n")}, &stdout, &stderr, nil)
	if code != 2 || strings.Count(stdout.String(), "\n") != 1 ||
		!strings.Contains(stderr.String(), "-f -: line 2: unexpected EOF") {
		t.Errorf("a failing reader: exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	for _, args := range [][]string{{"-f", "-"}, {"shop/web-0", "shop/cart-0", "-p", "8080"},
		{"shop/web-0", "shop/cart-0", "-p", "8080", "-o", "json"}} {
		stderr.Reset()
		code = cli.Run(t.Context(), append([]string{"check", "--manifests", file}, args...),
			strings.NewReader(allowedQuestion+"\n"), failingWriter{}, &stderr, nil)
		if code != 2 || !strings.Contains(stderr.String(), "netpold: writing the answer") {
			t.Errorf("%q on a full disk: exit code %d\n%s", args, code, stderr.String())
		}
	}
}

// FuzzQuestionLines: every line has one answer in its place, whatever it holds.
func FuzzQuestionLines(f *testing.F) {
	f.Add(allowedQuestion)
	f.Add(deniedQuestion + "\n" + allowedQuestion)
	f.Add(`{"src":{"labels":{"namespace":"shop","labels":{"app":"web"}}},"dst":{"service":{"namespace":"shop","name":"cart"}},"port":80}`)
	f.Add("{\"src\":{\"ip\":\"questions[3].x\"}}\r\n\n{")
	path := filepath.Join(f.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, []byte(cluster), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := 0
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				want++
			}
		}
		got := netpoldWith(t, nil, text, "check", "--manifests", path, "-f", "-")
		if answers := parseAnswers(t, got.stdout); len(answers) != want {
			t.Errorf("%d answers to %d lines:\n%s", len(answers), want, got.stdout)
		}
	})
}
