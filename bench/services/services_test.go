package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/bench/synthetic"
)

// TestMain is a server of its own too, as the command is.
func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		if err := serveChild(child, os.Args[1:]); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// small has default deny, rules of every kind of peer and port, and Pods that nothing isolates.
var small = synthetic.Size{Pods: 300, Policies: 100}

func smallModel(t *testing.T) (*model, []question, *change) {
	t.Helper()
	m, err := newModel(synthetic.New(small))
	if err != nil {
		t.Fatal(err)
	}
	questions, err := m.newQuestions(5000)
	if err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for _, q := range questions {
		if q.want {
			allowed++
		}
	}
	if allowed < len(questions)/4 || allowed > len(questions)*3/4 {
		t.Fatalf("%d of %d questions are allowed: the sample says little", allowed, len(questions))
	}
	c, err := m.newChange()
	if err != nil {
		t.Fatal(err)
	}
	return m, questions, c
}

// related answers as SpiceDB and OpenFGA do, by looking at the relations alone.
func related(tuples []tuple, q question) bool {
	subjects := map[string][]tuple{}
	for _, t := range tuples {
		key := t.kind + ":" + t.id + "#" + t.relation
		subjects[key] = append(subjects[key], t)
	}
	has := func(relation string) bool {
		return slices.ContainsFunc(subjects[kindSocket+":"+socketID(q.dst, q.port)+"#"+relation], func(t tuple) bool {
			if t.subjectKind == kindPod {
				return t.subject == everyone
			}
			return slices.ContainsFunc(subjects[kindGroup+":"+t.subject+"#"+relationMember], func(member tuple) bool {
				return member.subject == q.src.id
			})
		})
	}
	return has(relationIngress) && has(relationEgress)
}

func TestRelationsAreTheCluster(t *testing.T) {
	m, questions, c := smallModel(t)
	tuples := m.tuples()
	for _, q := range questions[:200] {
		if got := related(tuples, q); got != q.want {
			t.Errorf("%v is %t, want %t", q, got, q.want)
		}
	}
	if related(tuples, c.question) {
		t.Errorf("%v is allowed before the change", c.question)
	}
	change := c.tuples[which(true)]
	if after := append(tuples, change.added...); !related(after, c.question) || len(change.removed) > 0 {
		t.Errorf("%v is denied after the change %+v", c.question, change)
	}
}

func TestRegoIsTheCluster(t *testing.T) {
	m, questions, c := smallModel(t)
	policy, data, err := opaFiles(t.TempDir(), m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newOPAServer(t.Context(), policy, data)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(q question) bool {
		t.Helper()
		wire, err := encodeCheck([]question{q})
		if err != nil {
			t.Fatal(err)
		}
		var request authv3.CheckRequest
		if err := proto.Unmarshal(wire, &request); err != nil {
			t.Fatal(err)
		}
		response, err := s.Check(t.Context(), &request)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := proto.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeCheck(answer, 1)
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	for _, q := range questions {
		if got := ask(q); got != q.want {
			t.Errorf("%v is %t, want %t", q, got, q.want)
		}
	}
	for _, forth := range []bool{true, false} {
		if err := s.apply(t.Context(), c.patch[which(forth)]); err != nil {
			t.Fatal(err)
		}
		if got := ask(c.question); got != forth {
			t.Errorf("%v is %t after the change, forth %t", c.question, got, forth)
		}
	}
}

// TestBench runs all services whose programs have been built, with next to nothing: their answers are those of netpold.
func TestBench(t *testing.T) {
	program := filepath.Join(t.TempDir(), "netpold")
	root := filepath.Join("..", "..")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", root, "-o", program, "./cmd/netpold")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Set up by the caller's environment, they would not start.
	t.Setenv("NETPOLD_LISTEN", "nowhere")
	t.Setenv("TMPDIR", t.TempDir())
	s := settings{
		environment: environment{netpold: program, bin: "bin", own: own, connections: 2},
		size:        small, questions: 300, batch: 20, callers: 4, rounds: 2, step: 100 * time.Millisecond, changes: 1,
	}
	var stdout, stderr bytes.Buffer
	if err := bench(t.Context(), &s, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for line := range strings.Lines(stderr.String()) {
		if strings.HasPrefix(line, "***") {
			t.Log(strings.TrimSpace(line))
		}
	}
	for _, want := range []string{
		"| an empty method | of grpc-go | ", "| netpold | Allowed by IP | ", "| netpold | Check of ext_authz | ",
		"| netpold | StreamAllowed | ", "| netpold | BatchAllowed, 20 at once | ", "| OPA, ext_authz | Check of ext_authz | ",
		"| netpold, Allowed by IP | ", "| OPA, ext_authz, Check of ext_authz | ",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "netpold-services-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A service that answers otherwise is not measured.
func TestOtherAnswersAreAnError(t *testing.T) {
	m, questions, _ := smallModel(t)
	o := &opaExtAuthz{}
	defer o.stop()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.start(t.Context(), &environment{dir: t.TempDir(), own: own, connections: 1}, m); err != nil {
		t.Fatal(err)
	}
	questions[7].want = !questions[7].want
	var single [][]question
	for i := range questions[:20] {
		single = append(single, questions[i:i+1])
	}
	_, err = prepare(t.Context(), o, single, nil)
	if want := fmt.Sprintf("%v is answered", questions[7]); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q", err, want)
	}
}

func TestProcesses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "opa")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no such flag >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	m, _, _ := smallModel(t)
	o := &opaREST{}
	defer o.stop()
	err := o.start(t.Context(), &environment{dir: t.TempDir(), bin: filepath.Dir(script)}, m)
	if err == nil || !strings.Contains(err.Error(), "no such flag") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error is %v, want what the program said", err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(t.Context(), []string{childVariable + "=" + childEmpty}, own)
	if err != nil {
		t.Fatal(err)
	}
	if used, err := p.usage(); err != nil || used.resident == 0 {
		t.Errorf("%+v, %v", used, err)
	}
	p.stop()
	if err := p.ended(); err != nil {
		t.Errorf("told as a failure of its own: %v", err)
	}
	if _, err := p.usage(); err == nil {
		t.Error("a process that was stopped runs still")
	}
}

func TestCPUOf(t *testing.T) {
	got, err := cpuOf("17 (a) name)) S 1 17 17 0 -1 4194560 2 0 0 0 123 45 0 0 20 0 9 0 100 1 2")
	if err != nil || got != 1680*time.Millisecond {
		t.Errorf("%v, %v, want 1.68s", got, err)
	}
	if _, err := cpuOf("17 (name) S 1"); err == nil {
		t.Error("a line that is cut off is taken")
	}
}

func TestKept(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b\r\n\r\ntrueHTTP": "true",
		"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n":                     "",
		"HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nwhy":       "error 400 Bad Request: why",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":          "error an answer 200 OK without Content-Length",
		"SSH-2.0\r\n": `error "SSH-2.0\r\n" is not the first line of an answer of HTTP/1.1`,
	} {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			_, _ = bufio.NewReader(server).ReadString('\n')
			_, _ = server.Write([]byte(answer))
		}()
		body, err := (&kept{client, bufio.NewReader(client)}).call(t.Context(), []byte("\n"))
		got := string(body)
		if err != nil {
			got = "error " + err.Error()
		}
		_ = client.Close() // it has been read
		if got != want {
			t.Errorf("%q is read as %q, want %q", answer, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"-size is":         {"-size", "huge"},
		"-step is 1ms":     {"-step", "1ms"},
		"-batch above":     {"-batch", "501"},
		"too small":        {"-rounds", "0"},
		`-services has`:    {"-services", "casbin"},
		`"fast" is not`:    {"fast"},
		"make build makes": {"-netpold", filepath.Join(t.TempDir(), "netpold"), "-services", "opa-extauthz"},
	} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), args, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", args, err, want)
		}
	}
}
