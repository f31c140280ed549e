package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	client "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// process is the built program, as a shell runs it.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *logWriter
	ended          chan error
}

func start(t *testing.T, binary string, args ...string) *process {
	t.Helper()
	ctx, cancel := contextOf(t)
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, binary, args...), stdout: newLogWriter(), stderr: newLogWriter(),
		ended: make(chan error, 1)}
	p.cmd.Env = []string{"NETPOLD_ADMIN_LISTEN=127.0.0.1:0"}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p
}

// exit waits for the end, and tells the exit code; -1 for a signal.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	err := <-p.ended
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func (p *process) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// TestProcess builds the program, and looks at what only a process has: its exit code, and signals.
func TestProcess(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "netpold")
	var output bytes.Buffer
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary,
		"github.com/netpold/netpold/cmd/netpold")
	build.Stdout, build.Stderr = &output, &output
	if err := build.Run(); err != nil {
		t.Fatalf("%v:\n%s", err, &output)
	}
	file := writeFile(t, "cluster.yaml", cluster)

	t.Run("exit codes", func(t *testing.T) {
		for want, args := range [][]string{
			{"check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080"},
			{"check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8081"},
			{"check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "0"},
		} {
			p := start(t, binary, args...)
			if got := p.exit(t); got != want {
				t.Errorf("%q exits with %d, want %d:\n%s%s", args, got, want, p.stdout, p.stderr)
			}
		}
	})
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run("drains on "+signal.String(), func(t *testing.T) {
			p := start(t, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0", "--drain-delay=1ms")
			p.stderr.await(t, "ready") // JSON, for it is no terminal
			p.signal(t, signal)
			if got := p.exit(t); got != 0 || !strings.Contains(p.stderr.String(), `"msg":"stopped"`) {
				t.Errorf("exits with %d:\n%s", got, p.stderr)
			}
		})
	}
	t.Run("SIGHUP reads again", func(t *testing.T) {
		settings := writeFile(t, "netpold.yaml", "log-level: info\n")
		p := start(t, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0", "--drain-delay=0s", "--config",
			settings)
		p.stderr.await(t, "ready")
		replaceFile(t, settings, "log-level: debug\nmax-batch: 7\n")
		p.signal(t, syscall.SIGHUP)
		p.stderr.await(t, "log level changed")
		p.stderr.awaitText(t, func(text string) bool { return strings.Contains(text, `"settings":["max-batch"]`) })
		p.stderr.awaitText(t, func(text string) bool { return strings.Count(text, "manifests taken") == 2 })
		replaceFile(t, settings, "max-batch: none\n")
		p.signal(t, syscall.SIGHUP)
		p.stderr.await(t, "changed settings rejected; the present ones stay in use")
		p.signal(t, syscall.SIGTERM)
		if got := p.exit(t); got != 0 {
			t.Errorf("exits with %d:\n%s", got, p.stderr)
		}
	})
	t.Run("P46 SIGUSR1 logs at debug", func(t *testing.T) {
		p := start(t, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0", "--drain-delay=0s")
		address := p.stderr.await(t, "serving")["addr"].(string)
		p.signal(t, syscall.SIGUSR1)
		p.stderr.await(t, "SIGUSR1: the log level is debug for a while")
		netpold(t, "check", "--server", address, "shop/none", "shop/cart-0", "-p", "8080")
		p.stderr.await(t, "call failed")
		p.signal(t, syscall.SIGTERM)
		if got := p.exit(t); got != 0 {
			t.Errorf("exits with %d:\n%s", got, p.stderr)
		}
	})
	t.Run("G4 SIGHUP loses and cuts no record", func(t *testing.T) { rotates(t, binary) })
	t.Run("G4 SIGTERM writes what is queued", func(t *testing.T) {
		p := start(t, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0", "--drain-delay=0s",
			"--decision-log=-")
		address := p.stderr.await(t, "serving")["addr"].(string)
		netpold(t, "check", "--server", address, "shop/other-0", "shop/cart-0", "-p", "8080").want(t, 1, "denied", "")
		p.signal(t, syscall.SIGTERM)
		if got := p.exit(t); got != 0 || !strings.Contains(p.stdout.String(), `"answer":{"allowed":false,`) ||
			!strings.HasSuffix(p.stdout.String(), "}\n") {
			t.Errorf("exits with %d:\n%s", got, p.stdout)
		}
	})
	t.Run("G3 a decision log that cannot be opened", func(t *testing.T) {
		p := start(t, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0", "--decision-log=/nowhere/log")
		if got := p.exit(t); got != 2 || !strings.Contains(p.stderr.String(),
			"--decision-log /nowhere/log: open /nowhere/log: no such file or directory: make the folder first") {
			t.Errorf("exits with %d:\n%s", got, p.stderr)
		}
	})
	t.Run("audit follows Hubble", func(t *testing.T) { followsHubble(t, binary) })
	t.Run("F1 audit answers what a pipe has brought", func(t *testing.T) { answersPipe(t, binary, false) })
	t.Run("F7 audit is interrupted", func(t *testing.T) { answersPipe(t, binary, true) })
	t.Run("A7 nobody reads the output", func(t *testing.T) { failsUnread(t, binary) })
	t.Run("lives on when nobody reads its log", func(t *testing.T) { livesOnUnread(t, binary) })
	t.Run("a second signal ends a drain", func(t *testing.T) {
		p := start(t, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0", "--drain-delay=1h")
		p.stderr.await(t, "ready")
		p.signal(t, syscall.SIGTERM)
		p.stderr.await(t, "draining")
		p.signal(t, syscall.SIGTERM)
		p.exit(t)
		if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() ||
			status.Signal() != syscall.SIGTERM {
			t.Errorf("ends with %v, want the signal:\n%s", p.cmd.ProcessState, p.stderr)
		}
	})
}

// failsUnread runs every verb with an output whose reader is gone, as "list | head -1" does. What could not be
// written is an error (A7), of which nobody needs to be told.
func failsUnread(t *testing.T, binary string) {
	t.Helper()
	file := writeFile(t, "cluster.yaml", cluster)
	questions := writeFile(t, "questions", `{"src":{"ip":"10.0.0.1"},"dst":{"ip":"10.0.0.3"},"port":80}`+"\n")
	tests := [][]string{
		{"--help"}, {"version"}, {"token", "--manifests", file}, {"check", "--manifests", file, "-f", questions},
		{"check", "--manifests", file, "-f", questions, "--explain", "-ojson"},
	}
	for _, output := range []string{"table", "wide", "csv", "json", "html", "dot", "svg"} {
		tests = append(tests, []string{"list", "--manifests", file, "-o", output},
			[]string{"diff", "--manifests", file, "--delete=netpol/shop/web", "-o", output})
	}
	for _, output := range []string{"table", "json", "sarif", "markdown"} {
		tests = append(tests, []string{"lint", "--manifests", file, "--fail-on=info", "-o", output})
	}
	for _, form := range []string{"-otext", "-ojson", "-oyaml", "--explain"} { // denied, whose code is 1
		tests = append(tests, []string{"check", "--manifests", file, "shop/other-0", "shop/cart-0", "-p8080", form})
	}
	for _, args := range tests {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close() //nolint:errcheck // nothing was read
		ctx, cancel := contextOf(t)
		cmd := exec.CommandContext(ctx, binary, append(args, "-q")...)
		if args[0] == "--help" || args[0] == "version" {
			cmd = exec.CommandContext(ctx, binary, args...)
		}
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, &stderr
		err = cmd.Run()
		cancel()
		writer.Close() //nolint:errcheck // the child has its own
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 2 || stderr.Len() > 0 {
			t.Errorf("%q: %v, want exit code 2: %s", args, err, &stderr)
		}
	}
}

// livesOnUnread serves with a log whose reader ends, as "serve 2>&1 | head -1" does, and has it log more.
func livesOnUnread(t *testing.T, binary string) {
	t.Helper()
	file := writeFile(t, "cluster.yaml", cluster)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextOf(t)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, "serve", "--manifests", file, "--listen=127.0.0.1:0",
		"--admin-listen=", "--drain-delay=0s")
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close() //nolint:errcheck // the child has its own
	address := ""
	for lines := bufio.NewScanner(reader); address == "" && lines.Scan(); {
		var record struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
			address = record.Addr
		}
	}
	reader.Close() //nolint:errcheck // it was only read
	replaceFile(t, file, strings.Replace(cluster, "matchLabels: {app: web}}}]",
		"matchLabels: {app: other}}}]", 1))
	for netpold(t, "check", "--server", address, "shop/other-0", "shop/cart-0", "-p", "8080").code != 0 {
		if ctx.Err() != nil {
			t.Fatal("the edit is not taken, or the server is gone")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// replaceFile replaces a file in one step.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// rotates moves the file of the decision log away again and again while batches are asked, and counts what is
// in all the files.
func rotates(t *testing.T, binary string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions")
	p := start(t, binary, "serve", "--manifests", writeFile(t, "cluster.yaml", cluster), "--listen=127.0.0.1:0",
		"--drain-delay=0s", "--decision-log", path)
	asker, err := client.Dial(p.stderr.await(t, "serving")["addr"].(string), client.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	batch := &netpoldv1.BatchAllowedRequest{}
	for range 100 {
		batch.Questions = append(batch.Questions, &netpoldv1.AllowedRequest{Port: 80})
	}
	ctx, stop := contextOf(t)
	defer stop()
	asked := make(chan int)
	rotated := make(chan struct{})
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-rotated:
				asked <- n
				return
			default:
			}
			if _, err := asker.BatchAllowed(ctx, batch); err != nil {
				t.Error(err)
				asked <- n
				return
			}
		}
	}()
	files := []string{path}
	for round := range 10 {
		moved := fmt.Sprintf("%s.%d", path, round)
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		files = append(files, moved)
		p.signal(t, syscall.SIGHUP)
		p.stderr.awaitText(t, func(text string) bool {
			return strings.Count(text, "the decision log is opened again") == round+1
		})
	}
	close(rotated)
	want := 100 * <-asked
	if err := asker.Close(); err != nil {
		t.Error(err)
	}
	p.signal(t, syscall.SIGTERM)
	if got := p.exit(t); got != 0 {
		t.Errorf("exits with %d:\n%s", got, p.stderr)
	}
	got := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var record struct {
				DecisionID string `json:"decision_id"`
				Dropped    int
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil || !strings.HasSuffix(line, "\n") {
				t.Fatalf("%v: %q", err, line)
			}
			if record.Dropped > 0 {
				got += record.Dropped // said to be dropped, and not lost
				continue
			}
			got++
		}
	}
	if got != want || want == 0 {
		t.Errorf("%d records of %d questions", got, want)
	}
}
