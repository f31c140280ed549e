package live_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/live"
)

var resources = []string{"pods", "namespaces", "networkpolicies", "nodes", "services", "endpointslices"}

// orders returns every order of the resources.
func orders(list []string) [][]string {
	if len(list) <= 1 {
		return [][]string{list}
	}
	var all [][]string
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, o := range orders(rest) {
			all = append(all, append([]string{list[i]}, o...))
		}
	}
	return all
}

// TestNothingBeforeEveryResource proves S26: in whatever order resources are listed, there is no state before
// the last list, and the first state has all.
func TestNothingBeforeEveryResource(t *testing.T) {
	for _, order := range orders(resources) {
		synctest.Test(t, func(t *testing.T) {
			server := shop()
			gates := map[string]chan struct{}{}
			for _, r := range resources {
				gate := make(chan struct{})
				gates[r] = gate
				server.fault(r, func(f *faults) { f.gate = gate })
			}
			source := start(t, server)
			for i, r := range order {
				after(10 * time.Second)
				if _, ok := source.State(); ok || source.Status().Ready {
					t.Fatalf("%v: a state without %v", order, order[i:])
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_, err := source.Wait(ctx, "")
				lag, ok := errors.AsType[*mirror.LagError](err)
				missing := slices.Clone(order[i:])
				slices.SortFunc(missing, func(a, b string) int {
					return slices.Index(resources, a) - slices.Index(resources, b)
				})
				if !ok || !slices.Equal(lag.Resources, missing) || !errors.Is(err, context.Canceled) {
					t.Fatalf("%v: waiting without %v: %v", order, missing, err)
				}
				close(gates[r])
			}
			<-source.Ready()
			state := settled(t, source)
			if n := state.Snapshot.Counts(); n.Pods != 3 || n.Policies != 1 || n.Namespaces != 2 || n.Nodes != 1 ||
				state.Snapshot.Revision() != 1 {
				t.Fatalf("%v: %+v at revision %d", order, n, state.Snapshot.Revision())
			}
			if !allowed(t, state, web, db) || allowed(t, state, job, db) {
				t.Fatalf("%v: wrong decisions", order)
			}
			for _, r := range source.Status().Resources {
				if !r.Synced || r.Stale || r.Error != "" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestHowListsCome proves that every way of sending the first list works.
func TestHowListsCome(t *testing.T) {
	ways := map[string]func(*faults){
		"by watch":                             func(*faults) {},
		"plain, by watch is refused":           func(f *faults) { f.noStream = true },
		"plain in pages":                       func(f *faults) { f.noStream, f.pages = true, 2 },
		"plain, by watch never ends":           func(f *faults) { f.endless = true },
		"plain, by watch is always cut off":    func(f *faults) { f.cut = true },
		"by watch, with plain lists forbidden": func(f *faults) { f.list = forbidden("list") },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := shop()
				server.faultAll(way)
				source := start(t, server)
				select {
				case <-source.Ready():
				case <-time.After(2 * time.Minute):
					t.Fatalf("no first state: %+v", source.Status())
				}
				if state := settled(t, source); !allowed(t, state, web, db) || allowed(t, state, job, db) {
					t.Error("wrong decisions")
				}
				server.apply(allow("shop", "only-web", labels("app", "job")))
				if state := settled(t, source); allowed(t, state, web, db) || !allowed(t, state, job, db) {
					t.Error("the change is not seen")
				}
				// The second list comes the same way. It comes at once if lists by watch are known not to
				// end.
				server.compact("pods")
				after(20 * time.Second)
				for _, r := range source.Status().Resources {
					if r.Error != "" {
						t.Errorf("%+v", r)
					}
				}
				if server.watching("pods") != 1 {
					t.Errorf("%d watches of pods", server.watching("pods"))
				}
			})
		})
	}
}

// TestStartIsOneLine proves that the first lists are logged in one line with their objects, and later ones
// each.
func TestStartIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, told := shop(), &logs{}
		source := start(t, server, told.to)
		settled(t, source)
		status := source.Status()
		want := fmt.Sprintf("%d pods, %d namespaces, ", status.Resources[0].Objects, status.Resources[1].Objects)
		if told.count("level=INFO") != 1 || told.count("cluster mirrored") != 1 || told.count(want) != 1 {
			t.Errorf("want one line with %q:\n%s", want, told.text.String())
		}
		server.compact("pods")
		after(10 * time.Second)
		if told.count("cluster listed") != 1 {
			t.Errorf("a later list is not told:\n%s", told.text.String())
		}
	})
}

// TestHangIsForgotten proves that a single list by watch without an end does not disable them for ever: plain
// lists take more memory.
func TestHangIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, logged := shop(), &logs{}
		server.fault("pods", func(f *faults) { f.endless = true })
		source := start(t, server, logged.to)
		after(time.Minute)
		settled(t, source)
		server.fault("pods", func(f *faults) { f.endless, f.list = false, forbidden("list") })
		for range 3 {
			listed := logged.count("cluster listed")
			server.compact("pods")
			after(10 * time.Second)
			if logged.count("cluster listed") != listed+1 {
				t.Fatalf("Pods were not listed by watch: %+v", source.Status().Resources[0])
			}
		}
		if logged.count("never ends lists") > 0 {
			t.Error("it is logged that lists never end")
		}
		server.fault("pods", func(f *faults) { f.endless, f.list = true, nil })
		server.compact("pods")
		after(time.Minute)
		server.compact("pods")
		after(time.Minute)
		if n := logged.count("never ends lists"); n != 1 {
			t.Errorf("that lists never end is logged %d times, want once", n)
		}
		listed := logged.count("cluster listed")
		server.compact("pods")
		after(10 * time.Second)
		if logged.count("cluster listed") != listed+1 {
			t.Error("a list by watch is waited for though none ends here")
		}
	})
}

func forbidden(verb string) error { return forbiddenTo("netpold", verb) }

func forbiddenTo(user, verb string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "",
		fmt.Errorf("User %q cannot %s", user, verb))
}

// TestListAgain proves S26 and S7: after a lost history the differences are applied in one snapshot.
func TestListAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server)
		before := settled(t, source)

		server.compact("pods")
		after(20 * time.Second)
		if same := settled(t, source); same.Snapshot != before.Snapshot || same.Token != before.Token {
			t.Error("a list without differences made another snapshot")
		}

		server.fault("pods", func(f *faults) { f.watch, f.list = errors.New("down"), errors.New("down") })
		server.breakWatches("pods", nil)
		server.remove("pods", "shop/job")
		server.apply(pod("shop", "web", "10.0.0.9", labels("app", "web")))
		server.apply(pod("shop", "new", "10.0.0.3", labels("app", "web")))
		server.compact("pods")
		after(time.Minute)
		if settled(t, source).Snapshot != before.Snapshot {
			t.Error("the last state is gone while the server is")
		}
		if e := source.Status().Resources[0].Error; !strings.Contains(e, "down") {
			t.Errorf("error %q", e)
		}
		server.fault("pods", func(f *faults) { f.watch, f.list = nil, nil })
		after(time.Minute)
		now := settled(t, source)
		if now.Snapshot.Revision() != before.Snapshot.Revision()+1 {
			t.Errorf("revision %d after %d", now.Snapshot.Revision(), before.Snapshot.Revision())
		}
		if n := now.Snapshot.Counts(); n.Pods != 3 {
			t.Errorf("%+v", n)
		}
		if !allowed(t, now, "10.0.0.9", db) || !allowed(t, now, "10.0.0.3", db) || allowed(t, now, web, db) {
			t.Error("wrong decisions")
		}
		if e := source.Status().Resources[0].Error; e != "" {
			t.Errorf("error %q", e)
		}
	})
}

// TestListAgainNeverEmpties proves that a concurrent reader never sees a state without the objects.
func TestListAgainNeverEmpties(t *testing.T) {
	server := shop()
	for i := range 500 {
		server.apply(pod("shop", fmt.Sprint("x", i), fmt.Sprintf("10.1.%d.%d", i/250, i%250+1),
			labels("app", "web")))
	}
	source := start(t, server)
	<-source.Ready()
	done := make(chan struct{})
	seen := make(chan string, 1)
	go func() {
		for {
			state, ok := source.State()
			if n := state.Snapshot.Counts().Pods; !ok || n < 503 {
				seen <- fmt.Sprintf("%d Pods at revision %d", n, state.Snapshot.Revision())
				return
			}
			select {
			case <-done:
				seen <- ""
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	server.compact("pods")
	token, err := live.TokenFor("pods", server.apply(pod("shop", "last", "10.2.0.1", nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := source.Wait(ctx, token); err != nil {
		t.Fatal(err)
	}
	close(done)
	if text := <-seen; text != "" {
		t.Error(text)
	}
}

// TestAnotherPast proves that a server that comes back with another history is detected, whatever its
// resource versions.
func TestAnotherPast(t *testing.T) {
	tests := map[string]struct {
		version  int
		restored bool
		churn    int
		unknown  bool // the cluster cannot be identified at first
	}{
		"empty, versions behind":                    {10, false, 0, false},
		"empty, versions have just passed":          {98, false, 2, false},
		"empty, versions have passed long ago":      {10, false, 500, false},
		"which was not known, versions have passed": {10, false, 500, true},
		"empty, versions begin ahead":               {5000, false, 10, false},
		"restored, versions behind":                 {50, true, 0, false},
		"restored, versions bumped as they should":  {1_000_000, true, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := shop()
				if test.unknown {
					server.fault("namespaces", func(f *faults) { f.list = errors.New("down") })
				}
				source := start(t, server)
				old := settled(t, source)
				after(10 * time.Second) // a list follows watches that end at once anyway
				server.faultAll(func(f *faults) { f.list, f.watch = refused(), refused() })
				server.reset(test.version, test.restored)
				server.apply(pod("shop", "web", "10.0.0.7", labels("app", "web")))
				server.apply(pod("shop", "db", db, labels("app", "db")))
				server.remove("pods", "shop/job")
				server.remove("networkpolicies", "shop/only-web")
				for range test.churn {
					server.apply(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
				}
				after(time.Second)
				server.faultAll(func(f *faults) { f.list, f.watch = nil, nil })
				after(2 * time.Minute)
				now := settled(t, source)
				if n := now.Snapshot.Counts(); n.Pods != 2 || n.Policies != 0 || !allowed(t, now, "10.0.0.7", db) {
					t.Errorf("%+v", n)
				}
				if now.Token == old.Token {
					t.Error("the token is that of another past")
				}
				token := tokenFor(t, "networkpolicies", server.apply(allow("shop", "nobody", labels("app", "nobody"))))
				if state, err := source.Wait(t.Context(), token); err != nil || allowed(t, state, "10.0.0.7", db) {
					t.Error("a policy of the new past is not seen", err)
				}
			})
		})
	}
}

// TestAddressReused proves S7: an address belongs to the newest Pod, although the deletion of the old one
// comes later.
func TestAddressReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server)
		settled(t, source)
		newest := pod("shop", "other", web, labels("app", "job"))
		newest.CreationTimestamp = metav1.Unix(1_800_000_100, 0)
		server.apply(newest)
		if allowed(t, settled(t, source), web, db) {
			t.Error("the old Pod has its address still")
		}
		server.remove("pods", "shop/web")
		if allowed(t, settled(t, source), web, db) {
			t.Error("the old Pod's deletion gave the address away")
		}
	})
}

// TestFinishedPods proves S6 and S24: finished Pods are known by name and workload, and have no address.
func TestFinishedPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		yes := true
		p := pod("shop", "job", job, labels("app", "job"))
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "once",
			Controller: &yes}}
		p.Status.Phase = corev1.PodSucceeded
		server.apply(p)
		server.apply(allow("shop", "only-web", labels("app", "job")))
		state := settled(t, start(t, server))
		dst := engine.ByPod("shop", "db")
		for code, src := range map[engine.ErrorCode]engine.Endpoint{
			engine.PodFinished:      engine.ByPod("shop", "job"),
			engine.WorkloadFinished: engine.ByWorkload("shop", engine.Workload{Kind: "Job", Name: "once"}),
		} {
			_, err := state.Snapshot.Allowed(engine.Query{Src: src, Dst: dst, Port: 80})
			if q, ok := errors.AsType[*engine.QueryError](err); !ok || q.Code != code {
				t.Errorf("%v, want code %v", err, code)
			}
		}
		if allowed(t, state, job, db) {
			t.Error("it has its address still")
		}
	})
}

// TestNothingToDecide proves that a change that no verdict depends on makes no snapshot, but its token is
// reached.
func TestNothingToDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server)
		before := settled(t, source)
		p := pod("shop", "web", web, labels("app", "web"))
		p.Annotations = labels("seen", "now")
		token, err := live.TokenFor("pods", server.apply(p))
		if err != nil {
			t.Fatal(err)
		}
		now, err := source.Wait(t.Context(), token)
		if err != nil || now.Snapshot != before.Snapshot || now.Token != before.Token {
			t.Errorf("%v, revision %d after %d", err, now.Snapshot.Revision(), before.Snapshot.Revision())
		}
	})
}

// TestWrongPolicy proves S23: the invalid entry matches nothing, the policy isolates, and the problem is
// logged once.
func TestWrongPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, logged := shop(), &logs{}
		source := start(t, server, logged.to)
		settled(t, source)
		wrong := allow("shop", "only-web", labels("app", "no such value!"))
		server.apply(wrong)
		if state := settled(t, source); allowed(t, state, web, db) || allowed(t, state, job, db) {
			t.Error("open")
		}
		problems := source.Status().Problems
		if len(problems) != 1 || problems[0].Name != "only-web" || problems[0].Warning ||
			!strings.Contains(problems[0].Field, "spec.ingress[0].from[0]") {
			t.Errorf("%v", problems)
		}
		wrong.Annotations = labels("seen", "now")
		server.apply(wrong)
		server.compact("networkpolicies")
		after(time.Minute)
		if n := logged.count("problem in the cluster"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		server.apply(allow("shop", "only-web", labels("app", "web")))
		if state := settled(t, source); !allowed(t, state, web, db) || source.Status().Problems != nil {
			t.Errorf("mended, and: %v", source.Status().Problems)
		}
		server.apply(wrong)
		settled(t, source)
		server.remove("networkpolicies", "shop/only-web")
		if settled(t, source); source.Status().Problems != nil {
			t.Errorf("deleted, and: %v", source.Status().Problems)
		}
	})
}
