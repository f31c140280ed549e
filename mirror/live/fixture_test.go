package live_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"go.uber.org/goleak"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/live"
)

func TestMain(m *testing.M) {
	// The other handler of client-go compares the time with that of its last error. In a bubble that is
	// decades away.
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	goleak.VerifyTestMain(m,
		// client-go watches client certificates on disk as long as it caches their transport.
		goleak.IgnoreAnyFunction("k8s.io/client-go/transport.(*dynamicClientCert).run"),
		goleak.IgnoreAnyFunction("k8s.io/client-go/transport.(*dynamicClientCert).runWorker"),
		goleak.IgnoreAnyFunction("k8s.io/client-go/util/workqueue.(*Typed[...]).updateUnfinishedWorkLoop"),
		goleak.IgnoreAnyFunction("k8s.io/client-go/util/workqueue.(*delayingType[...]).waitingLoop"),
		goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/util/wait.PollImmediateUntilWithContext"),
	)
}

// start starts a source of the server. It runs until the test ends.
func start(t *testing.T, s *apiServer, change ...func(*live.Config)) *live.Source {
	t.Helper()
	c := live.Config{
		ListerWatchers: s.listerWatcher, Discovery: s.discover, Name: "test", MaxStaleness: live.DefaultMaxStaleness,
	}
	for _, f := range change {
		f(&c)
	}
	return running(t, c)
}

// running starts a source. It runs until the test ends.
func running(t *testing.T, c live.Config) *live.Source {
	t.Helper()
	source, err := live.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return source
}

// settled returns the state when all goroutines are idle.
func settled(t *testing.T, s *live.Source) mirror.State {
	t.Helper()
	synctest.Wait()
	state, ok := s.State()
	if !ok {
		t.Fatalf("no state: %+v", s.Status())
	}
	return state
}

// after lets time pass, in a bubble of synctest.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A logs holds what a source logs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

func (l *logs) to(c *live.Config) { c.Logger = slog.New(slog.NewTextHandler(l, nil)) }

func pod(namespace, name, ip string, labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID(namespace + name), Labels: labels,
		CreationTimestamp: metav1.Unix(1_800_000_000, 0),
	}}
	p.Spec.NodeName = "n1"
	p.Status.Phase = corev1.PodRunning
	if ip != "" {
		p.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	}
	return p
}

func labels(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

func namespace(name string, l map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}
}

// allow returns a policy that lets only Pods with some labels reach the Pods of a namespace.
func allow(namespace, name string, from map[string]string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: networkingv1.NetworkPolicySpec{
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{MatchLabels: from}},
			}}},
		},
	}
}

// allowed reports whether src may reach dst on port 80, both by IP.
func allowed(t *testing.T, s mirror.State, src, dst string) bool {
	t.Helper()
	d, err := s.Snapshot.Allowed(engine.Query{
		Src: engine.ByIP(netip.MustParseAddr(src)), Dst: engine.ByIP(netip.MustParseAddr(dst)), Port: 80,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d.Allowed
}

// shop returns a small cluster in which only web may reach db.
func shop() *apiServer {
	s := newAPIServer()
	s.apply(namespace("shop", nil))
	s.apply(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	s.apply(pod("shop", "web", "10.0.0.1", labels("app", "web")))
	s.apply(pod("shop", "db", "10.0.0.2", labels("app", "db")))
	s.apply(pod("shop", "job", "10.0.0.3", labels("app", "job")))
	s.apply(allow("shop", "only-web", labels("app", "web")))
	return s
}

const web, db, job = "10.0.0.1", "10.0.0.2", "10.0.0.3"
