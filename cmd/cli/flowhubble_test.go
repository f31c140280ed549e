package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/clients/hubble/hubbletest"
)

// flowsBegin is when the flows of these tests begin: the past, so that --until ends a run.
var flowsBegin = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// seen returns a flow to cart-0 that Hubble saw at the destination, n seconds after the begin.
func seen(n int, src string, verdict flow.Verdict) *flow.Flow {
	return &flow.Flow{
		Time: timestamppb.New(flowsBegin.Add(time.Duration(n) * time.Second)), NodeName: "node-a",
		Uuid: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), Verdict: verdict,
		DropReasonDesc: flow.DropReason_POLICY_DENIED, TrafficDirection: flow.TrafficDirection_INGRESS,
		IP: &flow.IP{Source: src, Destination: "10.0.0.2"},
		L4: &flow.Layer4{Protocol: &flow.Layer4_TCP{TCP: &flow.TCP{DestinationPort: 8080}}},
	}
}

// disagreeing returns a flow that the policies deny and Hubble says was allowed, by a policy that it names.
func disagreeing(n int) *flow.Flow {
	f := seen(n, "10.0.0.3", flow.Verdict_FORWARDED)
	f.IngressAllowedBy = []*flow.Policy{{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "open"}}
	return f
}

// F1, F4, F6: flows of Hubble are judged as those of files are, and both sides' words are told.
func TestAuditOfHubble(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Send(seen(1, "10.0.0.1", flow.Verdict_FORWARDED), disagreeing(2))
	server.Lose("node-a", 7, flowsBegin)
	server.Send(seen(3, "10.0.0.3", flow.Verdict_DROPPED))
	file := writeFile(t, "cluster.yaml", cluster)
	audit := func(args ...string) result {
		return netpold(t, append([]string{
			"audit", "--manifests", file, "--hubble", server.Addr(), "--since=2026-11-26T12:00:00Z",
			"--until=2026-11-26T13:00:00Z",
		}, args...)...)
	}
	got := audit("-ojson")
	if got.code != 1 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	var answers, said []string
	for line := range strings.Lines(got.stdout) {
		var m struct {
			Flow *struct {
				Compared, Why     string
				Line              int
				ObservedAllowedBy []string
			}
			Summary *struct{ Records, Disagrees, LostEvents, Reconnects string }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		switch {
		case m.Flow != nil:
			answers = append(answers, fmt.Sprint(m.Flow.Line, " ", m.Flow.Compared, m.Flow.Why))
			said = append(said, m.Flow.ObservedAllowedBy...)
		case m.Summary != nil:
			answers = append(answers, fmt.Sprintf("%+v", *m.Summary))
		}
	}
	want := "1 AGREES, 2 DISAGREES, 3 not-a-flow, 4 AGREES, {Records:4 Disagrees:1 LostEvents:7 Reconnects:0}"
	if got := strings.Join(answers, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(said) != 1 || said[0] != "CiliumNetworkPolicy shop/open" {
		t.Errorf("Hubble's policies are %q", said)
	}
	audit().want(t, 1, "record: allowed by CiliumNetworkPolicy shop/open", "Hubble lost 7 events so far")
	audit("--fail-on=none", "--summary-only").want(t, 0, "incomplete: Hubble lost 7 events\n", "Hubble lost 7")
}

func TestAuditOfHubbleCalledWrongly(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Stop()
	file := writeFile(t, "cluster.yaml", cluster)
	i := serve(t, "--manifests", file)
	for want, args := range map[string][]string{
		"--hubble and FILEs exclude each other":                        {"--hubble", server.Addr(), "-"},
		"--hubble and --format exclude each other":                     {"--hubble", server.Addr(), "--format=csv"},
		`--hubble "relay": missing port in address`:                    {"--hubble=relay"},
		`--hubble "": missing port in address`:                         {"--hubble="},
		"--hubble-tls and the like go with --hubble":                   {"--hubble-tls-server-name=relay"},
		"--hubble-tls-ca: open /nowhere":                               {"--hubble", server.Addr(), "--hubble-tls-ca=/nowhere"},
		"--hubble-tls-client-cert, --hubble-tls-client-key: give both": {"--hubble", server.Addr(), "--hubble-tls-client-cert=x"},
		"connection refused: is Hubble Relay there, and with TLS or without as here (--hubble-tls)?": {
			"--hubble", server.Addr(),
		},
		"unknown service observer.Observer: this is no Hubble: give the address of Hubble Relay": {"--hubble", i.addr},
		"--listen-metrics: its value is empty: give HOST:PORT":                                   {"--listen-metrics=", "/dev/null"},
		"--listen-metrics: listen tcp: ":                                                         {"--listen-metrics=nowhere", "/dev/null"},
	} {
		netpold(t, append([]string{"audit", "--manifests", file}, args...)...).want(t, 2, "", want)
	}
}

// A relay that takes connections and says nothing is an error, after --timeout, that says what to look at.
func TestAuditOfHubbleThatHangs(t *testing.T) {
	t.Parallel()
	server := hubbletest.Start(t)
	server.Send(seen(1, "10.0.0.1", flow.Verdict_FORWARDED))
	server.Hang(true)
	file := writeFile(t, "cluster.yaml", cluster)
	netpold(t, "audit", "--manifests", file, "--hubble", server.Addr(), "--since=2026-11-26T12:00:00Z",
		"--timeout=2s").want(t, 2, "",
		"something is there but does not answer within --timeout: is it Hubble Relay, and ready?")
}

// followsHubble runs the program until it is interrupted: the relay restarts meanwhile, and no flow is lost or
// judged twice. When the relay hangs, the summary still comes.
func followsHubble(t *testing.T, binary string) {
	t.Helper()
	server, authority := hubbletest.StartTLS(t)
	file := writeFile(t, "cluster.yaml", cluster)
	ca := writeFile(t, "ca.pem", string(authority))
	p := start(t, binary, "audit", "--manifests", file, "--hubble", server.Addr(), "--hubble-tls-ca", ca, "-ojson",
		"--since=2026-11-26T12:00:00Z", "--fail-on=disagree", "--listen-metrics=127.0.0.1:0")
	lines := func(n int) {
		p.stdout.awaitText(t, func(text string) bool { return strings.Count(text, `{"flow":`) >= n })
	}
	server.Send(seen(1, "10.0.0.1", flow.Verdict_FORWARDED), seen(2, "10.0.0.1", flow.Verdict_FORWARDED))
	lines(2)
	server.Stop()
	p.stderr.awaitText(t, func(text string) bool {
		return strings.Contains(text, "netpold: --hubble "+server.Addr()+": disconnected: ")
	})
	server.Send(disagreeing(3))
	server.Start()
	lines(3)
	address := regexp.MustCompile(`metrics on (http://\S+)`).FindStringSubmatch(p.stderr.String())
	response, err := http.Get(address[1])
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(response.Body)
	response.Body.Close() //nolint:errcheck,gosec // it was read
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"netpold_flow_records_total 3\n", `netpold_flow_verdicts_total{verdict="denied"} 1`,
		`netpold_flow_comparisons_total{compared="agrees"} 2`, `netpold_flow_comparisons_total{compared="disagrees"} 1`,
		`netpold_flow_not_compared_total{why="malformed"} 0`, "netpold_flow_lag_seconds ", "netpold_hubble_lost_events_total 0",
		"netpold_hubble_repeated_total ",
	} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("no %q in the metrics:\n%s", want, metrics)
		}
	}
	server.Hang(true)
	server.Send(disagreeing(4))
	p.signal(t, syscall.SIGINT)
	if got := p.exit(t); got != 1 {
		t.Errorf("exits with %d:\n%s", got, p.stderr)
	}
	var all []string
	for line := range strings.Lines(p.stdout.String()) {
		var m struct {
			Flow    *struct{ Time, Compared string }
			Summary *struct{ Records, Agrees, Disagrees string }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.Flow != nil {
			all = append(all, m.Flow.Time+" "+m.Flow.Compared)
		} else if m.Summary != nil {
			all = append(all, fmt.Sprintf("%+v", *m.Summary))
		}
	}
	want := "2026-11-26T12:00:01Z AGREES, 2026-11-26T12:00:02Z AGREES, 2026-11-26T12:00:03Z DISAGREES, " +
		"{Records:3 Agrees:2 Disagrees:1}"
	if got := strings.Join(all, ", "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
