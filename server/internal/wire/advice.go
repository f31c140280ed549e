package wire

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// maxLooked limits the names of a namespace, and the namespaces, that are compared with a name.
	maxLooked = 10_000
	// maxMeant limits the names that an error proposes.
	maxMeant = 3
)

// Advised returns the engine's error with advice: what was probably meant, or why a Service has no endpoint.
// Other errors are returned unchanged. Advised reads a bounded number of names and takes up to some
// milliseconds: it is for errors that people read.
func Advised(s *engine.Snapshot, q engine.Query, req *netpoldv1.AllowedRequest, err error) error {
	failed, ok := errors.AsType[*engine.QueryError](err)
	if !ok {
		return err
	}
	endpoint := req.GetSrc()
	if failed.Dst {
		endpoint = req.GetDst()
	}
	advice := ""
	switch failed.Code {
	case engine.NotFound:
		advice = meant(s, askedName(endpoint), failed.Dst)
	case engine.NoReadyEndpoint:
		if b, ok := s.Backing(q); ok {
			advice = noEndpointText(&b)
		}
	case engine.WorkloadFinished:
		w := endpoint.GetWorkload()
		if s.HasPlaceholder(w.GetNamespace(), engine.Workload{Kind: w.GetKind(), Name: w.GetName()}) {
			advice = "its replicas are 0, or it is suspended or done; give the labels of its Pods to ask what would be"
		}
	default:
	}
	if advice == "" {
		return err
	}
	advised := *failed
	advised.Detail = withAdvice(failed.Detail, advice)
	return &advised
}

// askedName returns the name that an endpoint has.
func askedName(e *netpoldv1.Endpoint) engine.Named {
	switch e := e.GetEndpoint().(type) {
	case *netpoldv1.Endpoint_Pod:
		return engine.Named{Kind: "Pod", Namespace: e.Pod.GetNamespace(), Name: e.Pod.GetName()}
	case *netpoldv1.Endpoint_Workload:
		return engine.Named{Kind: e.Workload.GetKind(), Namespace: e.Workload.GetNamespace(),
			Name: e.Workload.GetName()}
	case *netpoldv1.Endpoint_Service:
		return engine.Named{Kind: "Service", Namespace: e.Service.GetNamespace(), Name: e.Service.GetName()}
	}
	return engine.Named{}
}

// meant returns what exists in place of an unknown name, in words: the same name of another kind or in
// another namespace, or a similar name.
func meant(s *engine.Snapshot, asked engine.Named, dst bool) string {
	if !s.HasNamespace(asked.Namespace) {
		near := nearNamespace(s, asked)
		if near == "" {
			return fmt.Sprintf("there is nothing in namespace %s; check the namespace", asked.Namespace)
		}
		if there := askable(s.Called(near, asked.Name), asked, dst); len(there) > 0 {
			return fmt.Sprintf("there is nothing in namespace %s; did you mean %s?", asked.Namespace, words(there))
		}
		return fmt.Sprintf("there is nothing in namespace %s; did you mean namespace %s?", asked.Namespace, near)
	}
	if there := askable(s.Called(asked.Namespace, asked.Name), asked, dst); len(there) > 0 {
		return fmt.Sprintf("did you mean %s?", words(there))
	}
	if owner, ok := ownerOf(s, asked); ok {
		return fmt.Sprintf("no Pod is called so now; did you mean its workload, %s?", word(owner))
	}
	near, kinds := nearNames(s, asked, dst)
	elsewhere := sameElsewhere(s, asked, dst)
	if all := append(near, elsewhere...); len(all) > 0 {
		return fmt.Sprintf("did you mean %s?", words(all))
	}
	if !kinds[asked.Kind] {
		return fmt.Sprintf("namespace %s has no %s that is known%s", asked.Namespace, asked.Kind,
			withoutPods(asked))
	}
	if text := withoutPods(asked); text != "" {
		return "check the kind, the namespace and the name" + text
	}
	return ""
}

// withoutPods returns what a workload without Pods may be, in words.
func withoutPods(asked engine.Named) string {
	if asked.Kind == "Pod" || asked.Kind == "Service" {
		return ""
	}
	return "; workloads are known by their Pods, so that one that is scaled to 0 is not"
}

// askable returns the names of list that can replace asked in a question, those of its kind first.
func askable(list []engine.Named, asked engine.Named, dst bool) []engine.Named {
	list = slices.DeleteFunc(list, func(n engine.Named) bool { return n.Kind == "Service" && !dst })
	slices.SortStableFunc(list, func(a, b engine.Named) int {
		return ofOtherKind(a, asked) - ofOtherKind(b, asked)
	})
	return list[:min(len(list), maxMeant)]
}

func ofOtherKind(n, asked engine.Named) int {
	if n.Kind == asked.Kind {
		return 0
	}
	return 1
}

// ownerOf returns the workload that a Pod belongs to, judging by the Pod's name without the parts that
// controllers add.
func ownerOf(s *engine.Snapshot, asked engine.Named) (engine.Named, bool) {
	if asked.Kind != "Pod" {
		return engine.Named{}, false
	}
	name := asked.Name
	for range 2 {
		at := strings.LastIndexByte(name, '-')
		if at <= 0 {
			break
		}
		name = name[:at]
		for _, n := range s.Called(asked.Namespace, name) {
			if n.Kind != "Pod" && n.Kind != "Service" {
				return n, true
			}
		}
	}
	return engine.Named{}, false
}

// nearNames returns the names of the namespace that are nearest to asked, and the kinds that the namespace
// has.
func nearNames(s *engine.Snapshot, asked engine.Named, dst bool) ([]engine.Named, map[string]bool) {
	byName, kinds, looked := map[string][]engine.Named{}, map[string]bool{}, 0
	for n := range s.NamesIn(asked.Namespace) {
		if looked++; looked > maxLooked {
			break
		}
		kinds[n.Kind] = true
		if (dst || n.Kind != "Service") && mayBeNear(n.Name, asked.Name) && !slices.Contains(byName[n.Name], n) {
			byName[n.Name] = append(byName[n.Name], n)
		}
	}
	nearest := names.Nearest(asked.Name, func(yield func(string) bool) {
		for name := range byName {
			if !yield(name) {
				return
			}
		}
	})
	near := byName[nearest]
	slices.SortFunc(near, func(a, b engine.Named) int { return cmp.Compare(a.Kind, b.Kind) })
	return askable(near, asked, dst), kinds
}

// mayBeNear reports whether two names share their first or their last letter. Nearly all typing errors keep
// one of them.
func mayBeNear(a, b string) bool {
	return a != "" && b != "" && (a[0] == b[0] || a[len(a)-1] == b[len(b)-1])
}

// sameElsewhere returns objects of the same name and kind in other namespaces.
func sameElsewhere(s *engine.Snapshot, asked engine.Named, dst bool) []engine.Named {
	var there []engine.Named
	looked := 0
	for namespace := range s.Namespaces() {
		if looked++; looked > maxLooked {
			break
		}
		for _, n := range s.Called(namespace, asked.Name) {
			if n.Kind == asked.Kind && namespace != asked.Namespace {
				there = append(there, n)
			}
		}
	}
	slices.SortFunc(there, func(a, b engine.Named) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return askable(there, asked, dst)
}

// nearNamespace returns the namespace that was probably meant: one that has the exact name, or otherwise the
// nearest.
func nearNamespace(s *engine.Snapshot, asked engine.Named) string {
	looked, having := 0, ""
	near := names.Nearest(asked.Namespace, func(yield func(string) bool) {
		for namespace := range s.Namespaces() {
			if looked++; looked > maxLooked || !yield(namespace) {
				return
			}
			if len(s.Called(namespace, asked.Name)) > 0 && (having == "" || namespace < having) {
				having = namespace
			}
		}
	})
	if near != "" && len(s.Called(near, asked.Name)) > 0 || having == "" {
		return near
	}
	return having
}

// words returns names in the words that `netpold check` reads.
func words(list []engine.Named) string {
	texts := make([]string, 0, maxMeant)
	for _, n := range list[:min(len(list), maxMeant)] {
		texts = append(texts, word(n))
	}
	return strings.Join(texts, " or ")
}

// word returns a name in the words that `netpold check` reads. Examples: "shop/cart-0", "deploy/shop/cart".
func word(n engine.Named) string {
	short := map[string]string{
		"Deployment": "deploy/", "StatefulSet": "sts/", "DaemonSet": "ds/", "ReplicaSet": "rs/",
		"ReplicationController": "rc/", "Job": "job/", "CronJob": "cj/", "Service": "svc/",
	}
	return short[n.Kind] + n.Namespace + "/" + n.Name
}
