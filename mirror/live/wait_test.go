package live_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/live"
)

func tokenFor(t *testing.T, resource, version string) string {
	t.Helper()
	token, err := live.TokenFor(resource, version)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// lagging waits for a token until a timeout, and returns the resources that lag.
func lagging(t *testing.T, s *live.Source, token string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := s.Wait(ctx, token)
	if err == nil {
		return nil
	}
	lag, ok := errors.AsType[*mirror.LagError](err)
	if !ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v is no lag", err)
	}
	for _, r := range lag.Resources {
		if !strings.Contains(err.Error(), r) {
			t.Errorf("%v does not name %s", err, r)
		}
	}
	return lag.Resources
}

// TestWait proves S25: every resource reaches a token, by an event, a list or a bookmark.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server)
		state := settled(t, source)
		for _, token := range []string{"", state.Token, tokenFor(t, "pods", "1")} {
			if l := lagging(t, source, token); l != nil {
				t.Errorf("token %q: %v lag", token, l)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := source.Wait(ended, state.Token); err != nil {
			t.Errorf("the present state, after the context: %v", err)
		}

		ahead, err := live.MergeTokens(state.Token, tokenFor(t, "pods", "9000"), tokenFor(t, "services", "9000"),
			tokenFor(t, "pods", "200"), "")
		if err != nil {
			t.Fatal(err)
		}
		if l := lagging(t, source, ahead); !slices.Equal(l, []string{"pods", "services"}) {
			t.Errorf("%v lag", l)
		}
		server.mu.Lock()
		server.version = 8998
		server.mu.Unlock()
		server.apply(pod("shop", "late", "10.0.0.8", nil)) // 8999
		if l := lagging(t, source, ahead); !slices.Equal(l, []string{"pods", "services"}) {
			t.Errorf("%v lag", l)
		}
		server.bookmark("services") // 9000
		if l := lagging(t, source, ahead); !slices.Equal(l, []string{"pods"}) {
			t.Errorf("%v lag", l)
		}
		server.remove("pods", "shop/late") // 9001
		if l := lagging(t, source, ahead); l != nil {
			t.Errorf("%v lag", l)
		}
	})
}

// TestWaitEndsWithTheEvent proves that a caller waiting for a policy continues when the policy arrives.
func TestWaitEndsWithTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server)
		settled(t, source)
		got := make(chan mirror.State)
		go func() {
			state, err := source.Wait(t.Context(), tokenFor(t, "networkpolicies", "108"))
			if err != nil {
				t.Error(err)
			}
			got <- state
		}()
		synctest.Wait()
		if v := server.apply(allow("shop", "only-web", labels("app", "job"))); v != "108" {
			t.Fatalf("version %s", v)
		}
		if state := <-got; allowed(t, state, web, db) || !allowed(t, state, job, db) {
			t.Error("an older state")
		}
	})
}

// TestBookmarks proves that a bookmark makes no snapshot and no token, but the state reaches further.
func TestBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		source := start(t, server)
		before := settled(t, source)
		version := server.bookmark("nodes")
		now, err := source.Wait(t.Context(), tokenFor(t, "nodes", version))
		if err != nil || now.Snapshot != before.Snapshot || !now.Published.Equal(before.Published) {
			t.Errorf("%v, revision %d after %d", err, now.Snapshot.Revision(), before.Snapshot.Revision())
		}
		// The token names only what changed, because each replica gets bookmarks at other times.
		if now.Token != before.Token {
			t.Error("the token demands a bookmark")
		}
	})
}

// TestWaitAcrossReplicas proves S25: each replica reaches the other's token within seconds, even if nothing
// changes and it gets no bookmark.
func TestWaitAcrossReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		old := start(t, server)
		settled(t, old)
		server.bookmark("nodes") // kinds that are not mirrored raise the versions
		server.bookmark("nodes")
		young := start(t, server)
		token := settled(t, young).Token
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := old.Wait(ctx, token); err != nil {
			t.Error(err)
		}
		t.Logf("after %v", time.Since(begin))
		if _, err := young.Wait(ctx, settled(t, old).Token); err != nil {
			t.Error(err)
		}
	})
}

// TestProbesProveNothingTooMuch proves that Wait blocks until a change that the main watch delivers late.
func TestProbesProveNothingTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		server.fault("pods", func(f *faults) { f.mute = true })
		source := start(t, server)
		settled(t, source)
		version := server.apply(pod("shop", "web", "10.0.0.9", labels("app", "web")))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := source.Wait(ctx, tokenFor(t, "pods", version))
		if lag, ok := errors.AsType[*mirror.LagError](err); !ok || !slices.Equal(lag.Resources, []string{"pods"}) {
			t.Errorf("%v", err)
		}
	})
}

// TestProbesOfAnotherPast proves that probes of a server with another history and higher versions prove
// nothing.
func TestProbesOfAnotherPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		server.fault("pods", func(f *faults) { f.mute = true }) // the main watch hangs
		source := start(t, server)
		settled(t, source)
		server.reset(10, false)
		for range 300 {
			server.apply(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
		}
		if _, err := source.Wait(t.Context(), tokenFor(t, "nodes", "200")); err != nil { // listed again
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if state, err := source.Wait(ctx, tokenFor(t, "pods", "200")); err == nil {
			t.Errorf("%+v", state.Snapshot.Counts())
		}
	})
}

func TestTokens(t *testing.T) {
	for _, r := range resources {
		if _, err := live.TokenFor(r, "184467440737095516160000"); err != nil {
			t.Error(err)
		}
	}
	for resource, version := range map[string]string{
		"deployments": "5", "pod": "5", "pods": "", "nodes": "0", "services": "05", "namespaces": "-1",
		"endpointslices":  "5a",
		"networkpolicies": strings.Repeat("9", 65),
	} {
		if token, err := live.TokenFor(resource, version); err == nil {
			t.Errorf("%s %q: %q", resource, version, token)
		} else if !strings.Contains(err.Error(), strconv.Quote(resource)) &&
			!strings.Contains(err.Error(), strconv.Quote(version)) {
			t.Errorf("%v does not name what is wrong", err)
		}
	}
	source, err := live.New(live.Config{ListerWatchers: newAPIServer().listerWatcher, Discovery: newAPIServer().discover})
	if err != nil {
		t.Fatal(err)
	}
	manifests := "bQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for token, want := range map[string]error{
		"*":                             mirror.ErrTokenMalformed,
		"bA":                            mirror.ErrTokenMalformed, // no format
		"bAEB":                          mirror.ErrTokenMalformed, // no length
		"bAEBBTE":                       mirror.ErrTokenMalformed, // short
		"bAEKATE":                       mirror.ErrTokenMalformed, // resource 10
		"bAEBATA":                       mirror.ErrTokenMalformed, // version 0
		"eAEBATE":                       mirror.ErrTokenMalformed, // no kind
		manifests:                       mirror.ErrTokenUnknown,   // of files
		"bAIBATE":                       mirror.ErrTokenUnknown,   // of another time
		tokenFor(t, "pods", "12") + "=": mirror.ErrTokenMalformed, // changed
	} {
		if _, err := source.Wait(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("token %q: %v, want %v", token, err, want)
		}
		if _, err := live.MergeTokens(token); !errors.Is(err, want) {
			t.Errorf("token %q: %v, want %v", token, err, want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("bAEBATE")
	f.Add("bAEBAjEyAgM0NTY")
	f.Fuzz(func(t *testing.T, s string) {
		once, err := live.MergeTokens(s)
		if err != nil {
			if !errors.Is(err, mirror.ErrTokenMalformed) && !errors.Is(err, mirror.ErrTokenUnknown) {
				t.Error(err)
			}
			return
		}
		if twice, err := live.MergeTokens(once, s); err != nil || twice != once {
			t.Errorf("%q: %q, then %q, %v", s, once, twice, err)
		}
	})
}
