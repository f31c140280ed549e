package server_test

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
	"github.com/netpold/netpold/server/servertest"
)

func TestMain(m *testing.M) {
	if addresses := os.Getenv(benchServer); addresses != "" {
		if err := serveBenchmark(strings.Split(addresses, ",")); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what should come immediately.
const patience = 30 * time.Second

// A running is a server under test and a connection to it.
type running struct {
	*server.Server
	conn *grpc.ClientConn
	// stop ends Run's context. ended has the result of Run.
	stop  context.CancelFunc
	ended chan error
}

// start serves source on free ports of the loopback until the test ends. change changes the configuration;
// nil changes nothing.
func start(t *testing.T, source mirror.Source, change func(*server.Config)) *running {
	t.Helper()
	return startWith(t, source, change, nil)
}

// startWith is start with a function that gets the server before it runs.
func startWith(t *testing.T, source mirror.Source, change func(*server.Config),
	before func(*server.Server)) *running {
	t.Helper()
	config := server.Defaults()
	config.Source = source
	config.Listen, config.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	config.DrainDelay = 0
	if change != nil {
		change(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: s, stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		s.Stop()
		if err, open := <-r.ended; open && err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	r.conn = r.dial(t)
	return r
}

// wait waits for the result of Run.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	err := within(t, r.ended, "Run to return")
	close(r.ended)
	return err
}

func (r *running) dial(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient(r.Addr(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (r *running) decisions() netpoldv1.DecisionServiceClient {
	return netpoldv1.NewDecisionServiceClient(r.conn)
}

// within receives from c, within patience.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// synced returns a source with the objects.
func synced(objects ...engine.Object) *servertest.Source {
	source := servertest.NewSource()
	source.Apply(upserts(objects)...)
	return source
}

func upserts(objects []engine.Object) []engine.Change {
	changes := make([]engine.Change, len(objects))
	for i, object := range objects {
		changes[i] = engine.Change{Object: object}
	}
	return changes
}

func app(name string) engine.Selector {
	return engine.Selector{{Key: "app", Operator: engine.In, Values: []string{name}}}
}

func pod(name, app string, ips ...string) *engine.Pod {
	p := &engine.Pod{
		Namespace: "shop", Name: name, Labels: map[string]string{"app": app},
		Workloads: []engine.Workload{{Kind: "Deployment", Name: app}},
	}
	for _, ip := range ips {
		p.IPs = append(p.IPs, netip.MustParseAddr(ip))
	}
	return p
}

// shop returns a namespace that denies all ingress, except from the frontend to the cart on 8080. The Pod
// batch-0 has finished, and so has all of the workload batch. The Service cart maps 80 to 8080.
func shop() []engine.Object {
	finished := pod("batch-0", "batch")
	finished.Finished = true
	return []engine.Object{
		&engine.Namespace{Name: "shop"},
		pod("frontend-0", "frontend", "10.0.1.4", "2001:db8::1:4"),
		pod("cart-0", "cart", "10.0.3.7", "2001:db8::3:7"),
		pod("cart-1", "cart", "10.0.3.8"),
		finished,
		denyAll(),
		allowCart(),
		&engine.Service{
			Namespace: "shop", Name: "cart", IPs: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
			Ports: []engine.ServicePort{{Name: "http", Port: 80}},
		},
		&engine.EndpointSlice{
			Namespace: "shop", Name: "cart-x", Service: "cart",
			Endpoints: []engine.SliceEndpoint{{Addr: netip.MustParseAddr("10.0.3.7"), Ready: true}},
			Ports:     []engine.ServicePort{{Name: "http", Port: 8080}},
		},
		&engine.Service{
			Namespace: "shop", Name: "idle", IPs: []netip.Addr{netip.MustParseAddr("10.96.0.11")},
			Ports: []engine.ServicePort{{Name: "http", Port: 80}},
		},
		&engine.Service{Namespace: "shop", Name: "elsewhere", ExternalName: true},
	}
}

func denyAll() *engine.Policy {
	return &engine.Policy{Namespace: "shop", Name: "default-deny", IsolatesIngress: true}
}

func allowCart() *engine.Policy {
	return &engine.Policy{
		Namespace: "shop", Name: "cart", IsolatesIngress: true, Subject: app("cart"),
		Ingress: []engine.Rule{
			{Peers: []engine.Peer{{Pods: new(app("nobody"))}}},
			{
				Peers: []engine.Peer{{Pods: new(app("frontend"))}},
				Ports: []engine.Port{{Protocol: engine.TCP, First: 8080, Last: 8080}},
			},
		},
	}
}

// ask returns a question that shop allows.
func ask() *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{
		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.Pod("shop", "cart-0"), Port: 8080,
	}
}

// details holds an error's code and its google.rpc details.
type details struct {
	Code       codes.Code
	Message    string
	Reason     string
	Metadata   map[string]string
	Violations []violation
	Retry      time.Duration
}

type violation struct{ Field, Description string }

func detailsOf(t *testing.T, st *status.Status) details {
	t.Helper()
	d := details{Code: st.Code(), Message: st.Message()}
	for _, detail := range st.Details() {
		switch v := detail.(type) {
		case *errdetails.ErrorInfo:
			if v.GetDomain() != "netpold" {
				t.Errorf("ErrorInfo.domain is %q", v.GetDomain())
			}
			d.Reason, d.Metadata = v.GetReason(), v.GetMetadata()
		case *errdetails.BadRequest:
			for _, f := range v.GetFieldViolations() {
				d.Violations = append(d.Violations, violation{f.GetField(), f.GetDescription()})
			}
		case *errdetails.RetryInfo:
			d.Retry = v.GetRetryDelay().AsDuration()
		default:
			t.Errorf("unexpected detail %T", detail)
		}
	}
	return d
}
