package live_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/live"
)

const clusterPolicies = "clusternetworkpolicies"

// denyAll returns a ClusterNetworkPolicy that denies everything from Pods, at a port.
func denyAll(t *testing.T, name, port string) *unstructured.Unstructured {
	t.Helper()
	return clusterPolicy(t, `
metadata: {name: `+name+`}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: `+port+`}}}]}]
`)
}

func clusterPolicy(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("apiVersion: policy.networking.k8s.io/v1beta1\nkind: ClusterNetworkPolicy\n"+text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

// statusOf returns the status of a resource.
func statusOf(t *testing.T, s *live.Source, resource string) mirror.Resource {
	t.Helper()
	for _, r := range s.Status().Resources {
		if r.Name == resource {
			return r
		}
	}
	t.Fatalf("no resource %q in the status", resource)
	return mirror.Resource{}
}

// plain returns a cluster of two Pods that nothing isolates.
func plain() *apiServer {
	server := newAPIServer()
	server.apply(pod("shop", "a", "10.0.0.1", nil))
	server.apply(pod("shop", "b", "10.0.0.2", nil))
	return server
}

// S31: a resource that is absent is no fault; it appears, changes its version and goes, each logged once.
func TestTiersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, told := plain(), &logs{}
		source := start(t, server, told.to)
		denied := func() bool { return !allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") }
		if denied() {
			t.Error("denied by nothing")
		}
		if r := statusOf(t, source, clusterPolicies); r.State != mirror.StateAbsent || r.Error != "" || r.Stale || r.Version != "" {
			t.Errorf("absent: %+v", r)
		}

		server.apply(denyAll(t, "deny", "80"))
		server.serve(clusterPolicies, "v1alpha2")
		after(time.Minute)
		if !denied() {
			t.Error("a resource that appears does not count")
		}
		if r := statusOf(t, source, clusterPolicies); r.State != mirror.StateSynced || r.Version != "v1alpha2" || r.Objects != 1 {
			t.Errorf("appeared: %+v", r)
		}
		revision := settled(t, source).Snapshot.Revision()

		server.serve(clusterPolicies, "v1alpha2", "v1beta1")
		after(time.Minute)
		if r := statusOf(t, source, clusterPolicies); r.State != mirror.StateSynced || r.Version != "v1beta1" {
			t.Errorf("another version: %+v", r)
		}
		if !denied() || settled(t, source).Snapshot.Revision() != revision {
			t.Error("another version changes answers")
		}
		server.apply(denyAll(t, "deny", "81"))
		after(time.Second)
		if denied() {
			t.Error("a change in the new version is not seen")
		}
		server.apply(denyAll(t, "deny", "80"))
		after(time.Second)

		server.serve(clusterPolicies)
		after(time.Minute)
		if denied() {
			t.Error("what is no longer served still counts")
		}
		if r := statusOf(t, source, clusterPolicies); r.State != mirror.StateAbsent || r.Objects != 0 || r.Error != "" || r.Stale {
			t.Errorf("gone: %+v", r)
		}
		for _, line := range []string{
			`the cluster serves the resource" resource=clusternetworkpolicies`, "reading the resource in another version",
			"the cluster no longer serves the resource",
		} {
			if n := told.count(line); n != 1 {
				t.Errorf("%q is logged %d times:\n%s", line, n, told.text.String())
			}
		}
		if told.count("level=WARN")+told.count("level=ERROR") > 0 {
			t.Errorf("faults are logged:\n%s", told.text.String())
		}
	})
}

// S31: what cannot be found out is not absence. At the start there is no state, later the resource is stale.
func TestTiersUnknown(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "policy.networking.k8s.io", Resource: clusterPolicies}, "", errors.New("no rights"))
	for name, test := range map[string]struct {
		fail, mend func(*apiServer)
		want       string
		state      string
	}{
		"discovery fails": {
			func(s *apiServer) { s.failDiscovery(errors.New("out of order")) }, func(s *apiServer) { s.failDiscovery(nil) },
			"cannot tell whether the API server has resource \"clusternetworkpolicies.policy.networking.k8s.io\"", "",
		},
		"the list is forbidden": {
			func(s *apiServer) {
				s.serve(clusterPolicies, "v1beta1")
				s.fault(clusterPolicies, func(f *faults) { f.list, f.watch = forbidden, forbidden })
			},
			func(s *apiServer) { s.fault(clusterPolicies, func(f *faults) { f.list, f.watch = nil, nil }) },
			"{apiGroups: [policy.networking.k8s.io], resources: [clusternetworkpolicies, adminnetworkpolicies, " +
				"baselineadminnetworkpolicies], verbs: [get, list, watch]}", "",
		},
		"served in no version that is known": {
			func(s *apiServer) { s.serve(clusterPolicies, "v2") }, func(s *apiServer) { s.serve(clusterPolicies, "v2", "v1beta1") },
			"it is served in v2 only, and this netpold reads v1beta1 and v1alpha2: upgrade netpold",
			mirror.StateUnsupported,
		},
	} {
		t.Run(name+", at the start", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := plain()
				test.fail(server)
				source := start(t, server)
				after(time.Minute)
				if _, ok := source.State(); ok {
					t.Error("there is a state")
				}
				r := statusOf(t, source, clusterPolicies)
				if r.State != test.state || r.Synced || !strings.Contains(r.Error, test.want) {
					t.Errorf("%+v, want %q", r, test.want)
				}
				test.mend(server)
				after(time.Minute)
				settled(t, source)
			})
		})
		t.Run(name+", later", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := plain()
				server.apply(denyAll(t, "deny", "80"))
				server.serve(clusterPolicies, "v1beta1")
				source := start(t, server)
				settled(t, source)
				test.fail(server)
				server.breakWatches(clusterPolicies, nil)
				after(5 * time.Minute)
				if allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") {
					t.Error("the objects are gone")
				}
				r := statusOf(t, source, clusterPolicies)
				if stale, _ := source.Stale(); !stale || !r.Stale || !strings.Contains(r.Error, test.want) {
					t.Errorf("%+v, want it stale with %q", r, test.want)
				}
				if test.state != "" && (r.State != test.state || r.Synced) {
					t.Errorf("%+v, want the state %s", r, test.state)
				}
				test.mend(server)
				after(time.Minute)
				if stale, _ := source.Stale(); stale {
					t.Errorf("still stale: %+v", source.Status().Resources)
				}
			})
		})
	}
}

// S31: one of several API servers may not know a resource yet that is served. It has to be missed twice.
func TestTiersMissedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, told := plain(), &logs{}
		server.apply(denyAll(t, "deny", "80"))
		server.serve(clusterPolicies, "v1beta1")
		source := start(t, server, told.to)
		settled(t, source)
		for range 3 {
			server.hide(1)
			after(time.Minute)
			if allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") {
				t.Fatal("what one look missed does not count any more")
			}
		}
		if n := told.count("no longer serves"); n > 0 {
			t.Errorf("logged %d times that it is gone", n)
		}
		server.hide(2)
		after(16 * time.Second)
		if told.count("no longer serves") != 1 {
			t.Errorf("two looks missed it:\n%s", told.text.String())
		}
		after(time.Minute)
		if allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") {
			t.Error("it is not read again")
		}
	})
}

// S31: what is served and cannot be read is no absence, and it does not pass for one.
func TestTiersThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := plain()
		var broken atomic.Bool
		broken.Store(true)
		source := start(t, server, func(c *live.Config) {
			c.ListerWatchers = func(resource, version string) (cache.ListerWatcher, error) {
				if broken.Load() && resource == clusterPolicies {
					return nil, errors.New("no calls can be made")
				}
				return server.listerWatcher(resource, version)
			}
		})
		settled(t, source)
		server.apply(denyAll(t, "deny", "80"))
		server.serve(clusterPolicies, "v1beta1")
		after(time.Minute)
		r := statusOf(t, source, clusterPolicies)
		if r.State != "" || r.Synced || !strings.Contains(r.Error, "no calls can be made") {
			t.Errorf("%+v", r)
		}
		after(5 * time.Minute)
		if stale, _ := source.Stale(); !stale {
			t.Errorf("not stale: %+v", statusOf(t, source, clusterPolicies))
		}
		broken.Store(false)
		after(time.Minute)
		if stale, _ := source.Stale(); stale || allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") {
			t.Errorf("stale %t: %+v", stale, statusOf(t, source, clusterPolicies))
		}
	})
}

// S31: with IgnoreTiers nothing is asked, and nothing counts.
func TestTiersIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := plain()
		server.apply(denyAll(t, "deny", "80"))
		server.serve(clusterPolicies, "v1beta1")
		server.failDiscovery(errors.New("out of order"))
		source := start(t, server, func(c *live.Config) { c.IgnoreTiers = true })
		if !allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") {
			t.Error("an ignored policy counts")
		}
		if n := len(source.Status().Resources); n != 6 {
			t.Errorf("%d resources", n)
		}
	})
}

// S45, S46: an object that is not understood is closed, logged once for each version, and listed.
func TestTiersNotUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, told := plain(), &logs{}
		server.serve(clusterPolicies, "v1beta1")
		server.apply(clusterPolicy(t, `
metadata: {name: tomorrow}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {}, tomorrow: {}}], protocols: [{tcp: {destinationPort: {number: 1}}}]}]
`))
		source := start(t, server, told.to)
		if allowed(t, settled(t, source), "10.0.0.1", "10.0.0.2") {
			t.Error("a Deny rule with an unknown peer denies less than everything")
		}
		problems := source.Status().Problems
		if len(problems) == 0 || problems[0].Kind != "ClusterNetworkPolicy" || problems[0].Name != "tomorrow" ||
			!strings.HasPrefix(problems[0].Field, "spec.ingress[0].from[0]") {
			t.Errorf("problems %+v", problems)
		}
		lines := told.count(`object="ClusterNetworkPolicy tomorrow"`)
		server.compact(clusterPolicies)
		after(time.Minute)
		if again := told.count(`object="ClusterNetworkPolicy tomorrow"`); lines == 0 || again != lines {
			t.Errorf("logged %d times, then %d", lines, again)
		}
		server.serve(clusterPolicies)
		after(time.Minute)
		if problems := source.Status().Problems; len(problems) > 0 {
			t.Errorf("problems of what is gone: %+v", problems)
		}
	})
}

// S31: with one namespace a cluster-wide policy that may not be read is no absence either, at the start and later.
func TestTiersForbiddenInOneNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := plain()
		server.apply(denyAll(t, "deny", "80"))
		server.serve(clusterPolicies, "v1beta1")
		forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "policy.networking.k8s.io", Resource: clusterPolicies}, "", errors.New("no rights"))
		server.fault(clusterPolicies, func(f *faults) { f.list, f.watch = forbidden, forbidden })
		source := start(t, server, func(c *live.Config) { c.Namespace = "shop" })
		after(time.Minute)
		if _, ok := source.State(); ok {
			t.Error("there is a state without the policies")
		}
		if r := statusOf(t, source, clusterPolicies); !strings.Contains(r.Error, "--policy-tiers=off") {
			t.Errorf("%+v", r)
		}
	})
}

// A token has the optional resources as any other; one without them is reached by a state with them.
func TestTiersInTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := plain()
		source := start(t, server)
		before := settled(t, source).Token
		server.serve(clusterPolicies, "v1beta1")
		version := server.apply(denyAll(t, "deny", "80"))
		token, err := live.TokenFor(clusterPolicies, version)
		if err != nil {
			t.Fatal(err)
		}
		state, err := source.Wait(t.Context(), token)
		if err != nil || allowed(t, state, "10.0.0.1", "10.0.0.2") {
			t.Errorf("the token of the policy is reached without it: %v", err)
		}
		if _, err := source.Wait(t.Context(), before); err != nil {
			t.Errorf("a token without the resource: %v", err)
		}
	})
}
