package live_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netpold/netpold/mirror/live"
)

func refused() error {
	return &url.Error{Op: "Get", URL: "https://10.96.0.1:443",
		Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
}

// TestStale proves that every way in which an API server goes silent is noticed by age alone, and that
// staleness ends.
func TestStale(t *testing.T) {
	gate := make(chan struct{})
	ways := map[string]struct {
		fail func(*apiServer)
		mend func(*apiServer)
		text string
	}{
		"watches hang, and so do new ones": {
			func(s *apiServer) { s.faultAll(func(f *faults) { f.gate = gate }) },
			func(s *apiServer) { s.faultAll(func(f *faults) { f.gate = nil }) },
			"", // nothing has failed yet
		},
		"connections are refused": {
			func(s *apiServer) {
				s.faultAll(func(f *faults) { f.list, f.watch = refused(), refused() })
				for _, r := range resources {
					s.breakWatches(r, nil)
				}
			},
			func(s *apiServer) { s.faultAll(func(f *faults) { f.list, f.watch = nil, nil }) },
			"nothing listens",
		},
		"a list hangs": {
			func(s *apiServer) {
				s.faultAll(func(f *faults) { f.gate = gate })
				for _, r := range resources {
					s.compact(r)
				}
			},
			func(s *apiServer) { s.faultAll(func(f *faults) { f.gate = nil }) },
			"no answer within 2m0s",
		},
		"a plain list hangs": {
			func(s *apiServer) {
				s.faultAll(func(f *faults) { f.gate, f.noStream = gate, true })
				for _, r := range resources {
					s.compact(r)
				}
			},
			func(s *apiServer) { s.faultAll(func(f *faults) { f.gate = nil }) },
			"no answer within 2m0s",
		},
		"it has too much to do": {
			func(s *apiServer) {
				s.faultAll(func(f *faults) {
					f.watch = apierrors.NewTooManyRequests("too many requests", 1)
					f.list = f.watch
				})
				for _, r := range resources {
					s.breakWatches(r, nil)
				}
			},
			func(s *apiServer) { s.faultAll(func(f *faults) { f.list, f.watch = nil, nil }) },
			"429",
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if strings.Contains(name, "hang") {
					gate = make(chan struct{})
				}
				server, logged := shop(), &logs{}
				source := start(t, server, logged.to)
				settled(t, source)
				after(time.Hour) // idle, without bookmarks: watches start again
				stale, changed := source.Stale()
				if stale || logged.count("stale") > 0 {
					t.Fatalf("stale while idle: %+v", source.Status())
				}
				way.fail(server)
				begin := time.Now()
				<-changed
				if d := time.Since(begin); d < time.Minute-time.Second || d > 3*time.Minute+time.Second {
					t.Errorf("noticed after %v", d)
				}
				stale, changed = source.Stale()
				status := source.Status()
				if r := status.Resources[0]; !stale || !r.Stale || r.Age < 3*time.Minute ||
					!strings.Contains(r.Error, way.text) {
					t.Errorf("%v: %+v", stale, r)
				}
				if state, ok := source.State(); !ok || !status.Ready || !allowed(t, state, web, db) {
					t.Error("the last state is gone")
				}
				server.apply(allow("shop", "only-web", labels("app", "job")))
				way.mend(server)
				<-changed
				if stale, _ := source.Stale(); stale {
					t.Error("stale still")
				}
				after(5 * time.Minute)
				if state, _ := source.State(); !allowed(t, state, job, db) {
					t.Error("what changed meanwhile is not seen")
				}
				for _, r := range source.Status().Resources {
					if r.Stale || r.Error != "" {
						t.Errorf("%+v", r)
					}
				}
				if n := logged.count("mirror is stale"); n < 1 || n > len(resources) {
					t.Errorf("logged %d times", n)
				}
			})
		})
	}
}

// TestFailuresAreLoggedOnce proves that failures which alternate, with other numbers each time, are each
// logged once until all calls succeed.
func TestFailuresAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, logged := shop(), &logs{}
		source := start(t, server, logged.to)
		settled(t, source)
		outage := func() {
			for i := range 200 {
				server.fault("pods", func(f *faults) {
					f.list = fmt.Errorf("stream error: stream ID %d; INTERNAL_ERROR", 2*i+1)
					f.watch = f.list
					if i%2 == 0 {
						f.watch = fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:6443: connection reset by peer", 30_000+i)
					}
				})
				server.breakWatches("pods", nil)
				after(10 * time.Second)
			}
			if e := source.Status().Resources[0].Error; !strings.Contains(e, "ID 399") {
				t.Errorf("the present failure is %q", e)
			}
			server.fault("pods", func(f *faults) { f.list, f.watch = nil, nil })
			after(time.Minute)
		}
		outage()
		first := logged.count("cannot follow the cluster")
		if recovered := logged.count("following the cluster again"); first < 2 || first > 6 || recovered != 1 {
			t.Errorf("failures are logged %d times, their end %d times", first, recovered)
		}
		outage()
		if again := logged.count("cannot follow the cluster") - first; again < 2 || again > 6 {
			t.Errorf("the failures of another outage are logged %d times", again)
		}
	})
}

func schemaOf(resource string) schema.GroupResource { return schema.GroupResource{Resource: resource} }

// TestNeverStale proves that 0 means never.
func TestNeverStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server, func(c *live.Config) { c.MaxStaleness = 0 })
		settled(t, source)
		server.faultAll(func(f *faults) { f.gate = make(chan struct{}) })
		after(24 * time.Hour)
		if stale, _ := source.Stale(); stale || source.Status().Resources[0].Stale {
			t.Error("stale")
		}
		if age := source.Status().Resources[0].Age; age < 23*time.Hour {
			t.Errorf("age %v", age)
		}
	})
}

// TestNotMirrored proves that a missing resource is reported with its remedy, that the source is not ready,
// and that it recovers.
func TestNotMirrored(t *testing.T) {
	gvr := "the server could not find the requested resource"
	tests := map[string]struct {
		resource    string
		list, watch error
		want        []string
	}{
		"both verbs": {"networkpolicies", forbidden("list"), forbidden("watch"), []string{
			`cannot list and watch resource "networkpolicies.networking.k8s.io"`,
			"grant verbs list and watch on networkpolicies.networking.k8s.io to the user \"netpold\"", "deploy/"}},
		"list": {"pods", forbidden("list"), fmt.Errorf("down"),
			[]string{`cannot list resource "pods"`, `grant verb list on pods to the user "netpold"`}},
		"a ServiceAccount": {"pods", forbiddenTo("system:serviceaccount:infra:netpold", "list"),
			forbiddenTo("system:serviceaccount:infra:netpold", "watch"),
			[]string{"grant verbs list and watch on pods to the ServiceAccount infra/netpold, for the whole cluster"}},
		"unknown kind": {"endpointslices",
			apierrors.NewGenericServerResponse(404, "list", schemaOf("endpointslices"), "", "", 0, true),
			apierrors.NewGenericServerResponse(404, "watch", schemaOf("endpointslices"), "", "", 0, true),
			[]string{"does not know discovery.k8s.io/v1", gvr}},
		"credentials": {"nodes", apierrors.NewUnauthorized("Unauthorized"),
			apierrors.NewUnauthorized("Unauthorized"), []string{"does not accept the credentials", "renew"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, logged := shop(), &logs{}
				server.fault(test.resource, func(f *faults) { f.list, f.watch = test.list, test.watch })
				source := start(t, server, logged.to)
				after(10 * time.Minute)
				status := source.Status()
				if _, ok := source.State(); ok || status.Ready {
					t.Error("ready")
				}
				for _, r := range status.Resources {
					if r.Name != test.resource {
						if r.Error != "" || !r.Synced || r.Stale {
							t.Errorf("%+v", r)
						}
						continue
					}
					for _, w := range test.want {
						if !strings.Contains(r.Error, w) {
							t.Errorf("%q lacks %q", r.Error, w)
						}
					}
					if r.Synced || !r.Stale {
						t.Errorf("%+v", r)
					}
				}
				if n, all := logged.count("cannot follow the cluster"), logged.count("Failed to watch"); n < 1 || n > 2 ||
					all > 0 {
					t.Errorf("logged %d times, and %d by client-go", n, all)
				}
				server.fault(test.resource, func(f *faults) { f.list, f.watch = nil, nil })
				after(time.Minute)
				settled(t, source)
				if e := source.Status(); !e.Ready || e.Resources[0].Error != "" {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// TestPollingWithoutWatch proves that a cluster that may be listed but not watched is mirrored slowly, with a
// failure in the status.
func TestPollingWithoutWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		server.fault("networkpolicies", func(f *faults) { f.watch = forbidden("watch") })
		source := start(t, server)
		after(time.Minute)
		settled(t, source)
		server.apply(allow("shop", "only-web", labels("app", "job")))
		after(time.Minute)
		if state := settled(t, source); !allowed(t, state, job, db) {
			t.Error("not followed")
		}
		if r := source.Status().Resources[2]; !strings.Contains(r.Error, "grant verb watch on networkpolicies") ||
			r.Stale {
			t.Errorf("%+v", r)
		}
	})
}

// TestEndAnyTime ends a source at many moments of syncs with every kind of fault. The bubble fails if a
// goroutine stays.
func TestEndAnyTime(t *testing.T) {
	never := make(chan struct{})
	ways := []func(*faults){
		func(*faults) {},
		func(f *faults) { f.gate = never },
		func(f *faults) { f.watch, f.list = refused(), refused() },
		func(f *faults) { f.watch, f.list = fmt.Errorf("down"), fmt.Errorf("down") },
		func(f *faults) { f.noStream, f.pages = true, 1 },
		func(f *faults) { f.endless = true },
		func(f *faults) { f.cut = true },
		func(f *faults) { f.mute = true },
	}
	for i, way := range ways {
		for _, d := range []time.Duration{0, time.Millisecond, time.Second, 10 * time.Second, 31 * time.Second,
			2*time.Minute + time.Second, time.Hour} {
			t.Run(fmt.Sprint(i, " ", d), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if i == 1 {
						never = make(chan struct{})
					}
					server := shop()
					server.fault(resources[i%len(resources)], way)
					server.fault("pods", way)
					source, err := live.New(live.Config{
						ListerWatchers: server.listerWatcher, Discovery: server.discover, MaxStaleness: time.Minute,
					})
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancel(t.Context())
					waited := make(chan error)
					go func() {
						_, err := source.Wait(ctx, tokenFor(t, "pods", "123456"))
						waited <- err
					}()
					time.AfterFunc(d, cancel)
					begin := time.Now()
					if err := source.Run(ctx); err != nil {
						t.Error(err)
					}
					if late := time.Since(begin) - d; late > 0 {
						t.Errorf("it ended %v late", late)
					}
					if err := <-waited; err == nil {
						t.Error("a state came that never was")
					}
					if err := source.Run(ctx); err == nil {
						t.Error("it ran twice")
					}
				})
			})
		}
	}
}
