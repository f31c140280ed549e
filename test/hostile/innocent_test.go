//go:build linux

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// innocentTarget in the environment makes a process the innocent of a netpold, and innocentCA one that speaks TLS.
	innocentTarget = "HOSTILE_INNOCENT"
	innocentCA     = "HOSTILE_INNOCENT_CA"
	// innocentRate is how many questions a second the innocent asks, over innocentConnections, and innocentPatience how
	// long it waits for each answer. A later one is lost.
	innocentRate        = 100
	innocentConnections = 2
	innocentPatience    = 5 * time.Second
)

// A experience is what the innocent has seen.
type experience struct {
	Asked, Lost, Wrong int
	// Late are those of Lost that came too late.
	Late int
	// FirstLoss is why the first one was lost.
	FirstLoss string
	// Failure is why nothing was asked.
	Failure string
	// P50, P99 and Worst are times to the answer, from when the question was due.
	P50, P99, Worst time.Duration
}

func (e *experience) String() string {
	return fmt.Sprintf("%d asked, %d lost, %d wrong; p50 %v, p99 %v, worst %v", e.Asked, e.Lost, e.Wrong,
		e.P50.Round(10*time.Microsecond), e.P99.Round(10*time.Microsecond), e.Worst.Round(10*time.Microsecond))
}

// beInnocent asks target at a constant rate, whether or not it answers, until in ends. Then it writes its experience.
// It is a process of its own, so that the attackers do not take its processor.
func beInnocent(target string, in io.Reader, out io.Writer) {
	clients, err := connect(target)
	if err != nil {
		_ = json.NewEncoder(out).Encode(&experience{Failure: err.Error()}) // whoever reads it sees its absence
		return
	}
	_ = json.NewEncoder(out).Encode(&experience{})
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	m := &memory{}
	m.ask(clients, questions(), ended)
	_ = json.NewEncoder(out).Encode(m.experience())
}

// connect opens the innocent's connections, and makes sure that the answers are right before the attack. They stay open
// for as long as the process.
func connect(target string) (clients []netpoldv1.DecisionServiceClient, err error) {
	all := questions()
	for range innocentConnections {
		conn, err := plainOrTLS(target, os.Getenv(innocentCA))
		if err != nil {
			return nil, err
		}
		client := netpoldv1.NewDecisionServiceClient(conn)
		clients = append(clients, client)
		for i := range all {
			answer, err := client.Allowed(context.Background(), all[i].request)
			if err != nil {
				return nil, err
			}
			if answer.GetAllowed() != all[i].allowed {
				return nil, fmt.Errorf("%v is answered with %v", all[i].request, answer)
			}
		}
	}
	return clients, nil
}

// plainOrTLS returns a connection, by TLS if there is a file with the server's certificate.
func plainOrTLS(target, ca string) (*grpc.ClientConn, error) {
	creds, err := insecure.NewCredentials(), error(nil)
	if ca != "" {
		creds, err = credentials.NewClientTLSFromFile(ca, "")
	}
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(creds))
}

// A memory is what the innocent remembers. It is safe for concurrent use.
type memory struct {
	mu    sync.Mutex
	seen  experience
	waits []time.Duration
}

// ask asks until ended is closed, and waits for the last answers.
func (m *memory) ask(clients []netpoldv1.DecisionServiceClient, all []question, ended <-chan struct{}) {
	var asking sync.WaitGroup
	defer asking.Wait()
	began := time.Now()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * time.Second / innocentRate)
		select {
		case <-ended:
			return
		case <-time.After(time.Until(due)):
		}
		q, client := &all[i%len(all)], clients[i%len(clients)]
		asking.Go(func() {
			ctx, cancel := context.WithDeadline(context.Background(), due.Add(innocentPatience))
			defer cancel()
			answer, err := client.Allowed(ctx, q.request)
			m.add(time.Since(due), err, err == nil && answer.GetAllowed() != q.allowed)
		})
	}
}

func (m *memory) add(wait time.Duration, err error, wrong bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen.Asked++
	m.waits = append(m.waits, wait)
	if wrong {
		m.seen.Wrong++
	}
	if err != nil {
		m.seen.Lost++
		if status.Code(err) == codes.DeadlineExceeded {
			m.seen.Late++
		} else if m.seen.FirstLoss == "" {
			m.seen.FirstLoss = err.Error()
		}
	}
}

func (m *memory) experience() *experience {
	if n := len(m.waits); n > 0 {
		slices.Sort(m.waits)
		m.seen.P50, m.seen.P99, m.seen.Worst = m.waits[n/2], m.waits[n*99/100], m.waits[n-1]
	}
	return &m.seen
}

// innocent begins an innocent of n. It asks until the returned function is called, which returns its experience.
func (n *child) innocent(t *testing.T) (end func() *experience) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(ownEnv(), innocentTarget+"="+n.addr, innocentCA+"="+n.ca)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	said := &bytes.Buffer{}
	cmd.Stderr = said
	if err := errors.Join(inErr, outErr); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	preferred(cmd)
	n.asker = cmd.Process.Pid
	from := json.NewDecoder(out)
	var once sync.Once
	finish := func() (seen *experience, err error) {
		once.Do(func() {
			seen = &experience{}
			err = errors.Join(in.Close(), from.Decode(seen))
			if ended := cmd.Wait(); ended != nil {
				err = fmt.Errorf("%w: %w: %s", err, ended, said)
			}
		})
		return seen, err
	}
	t.Cleanup(func() { _, _ = finish() })
	var begun experience
	if err := from.Decode(&begun); err != nil || begun.Failure != "" {
		t.Fatalf("the innocent does not begin: %s, %v", begun.Failure, err)
	}
	return func() *experience {
		t.Helper()
		seen, err := finish()
		if err != nil {
			t.Fatalf("the innocent: %v", err)
		}
		return seen
	}
}
