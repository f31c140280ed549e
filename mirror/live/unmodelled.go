package live

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"github.com/netpold/netpold/mirror"
)

// Kinds that decide traffic and that netpold does not model are found by discovery, which needs no rights.
// Their objects are counted by metadata only. Without the right to list them only the kind is known.

const (
	// unmodelledInterval is how often the kinds are looked for.
	unmodelledInterval = 2 * time.Minute
	// unmodelledTimeout limits one look. The first state waits for the first look, so that answers have its
	// note.
	unmodelledTimeout = 10 * time.Second
	// unmodelledPage limits the objects in one answer of the API server.
	unmodelledPage = 500
)

// An unmodelledSeeker looks for kinds that netpold does not model.
type unmodelledSeeker struct {
	discovery discoverer
	metadata  metadata.Interface
	// namespace is the one mirrored namespace; empty for all.
	namespace string
}

// newUnmodelledSeeker returns a seeker that uses the connections of c.
func newUnmodelledSeeker(c *client, namespace string) (*unmodelledSeeker, error) {
	m, err := metadata.NewForConfigAndClient(metadata.ConfigFor(c.config), c.http)
	if err != nil {
		return nil, err
	}
	return &unmodelledSeeker{discovery: c.discover, metadata: m, namespace: namespace}, nil
}

// seekUnmodelled updates the unmodelled kinds of the status until ctx ends. It closes s.sought after the
// first look.
func (s *Source) seekUnmodelled(ctx context.Context) {
	if s.seeker == nil {
		close(s.sought)
		return
	}
	ticker := time.NewTicker(unmodelledInterval)
	defer ticker.Stop()
	failing := false
	for first := true; ; first = false {
		bounded, cancel := context.WithTimeout(ctx, unmodelledTimeout)
		found, err := s.seeker.seek(bounded, *s.unmodelled.Load())
		cancel()
		if ctx.Err() == nil {
			s.unmodelled.Store(&found)
			if err != nil && !failing {
				s.log.Warn("kinds that netpold does not model may be missed; they are looked for again", "error", err,
					"every", unmodelledInterval)
			}
			failing = err != nil
		}
		if first {
			close(s.sought)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// seek returns the kinds that are served, with what is known of their objects. If a call fails, its part of
// before stays, and seek returns the first error too.
func (u *unmodelledSeeker) seek(ctx context.Context,
	before []mirror.UnmodelledKind) ([]mirror.UnmodelledKind, error) {
	served, failed := u.served(ctx)
	if served == nil && failed != nil {
		return before, failed
	}
	var found []mirror.UnmodelledKind
	for _, r := range mirror.UnmodelledResources() {
		versions, asked := served[r.Group]
		version, ok := versions[r.Resource]
		was := slices.IndexFunc(before, func(k mirror.UnmodelledKind) bool {
			return k.Group == r.Group && k.Kind == r.Kind
		})
		switch {
		case !asked || len(versions) > 0 && !ok || len(versions) == 0 && failed == nil:
			continue
		case !ok: // the group is served, but its resources could not be read
			if was >= 0 {
				found = append(found, before[was])
			}
			continue
		}
		kind, err := u.count(ctx, r, version)
		if err != nil {
			failed = firstError(failed, err)
			if was >= 0 {
				kind = before[was]
			}
		}
		if !kind.Counted || kind.Count > 0 {
			found = append(found, kind)
		}
	}
	return found, failed
}

// served returns, for each group of the table that the API server serves, the version in which it serves each
// resource. If a group could not be read, its versions are nil, and served returns the first error too.
func (u *unmodelledSeeker) served(ctx context.Context) (map[string]map[string]string, error) {
	wanted := map[string]bool{}
	for _, r := range mirror.UnmodelledResources() {
		wanted[r.Group] = true
	}
	groups, err := u.discovery.groups(ctx, func(group string) bool { return wanted[group] })
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]string{}
	var failed error
	for name, group := range groups {
		all[name] = nil
		for i := range group.versions {
			v := &group.versions[i]
			if v.err != nil {
				failed = firstError(failed, v.err)
				continue
			}
			if all[name] == nil {
				all[name] = map[string]string{}
			}
			for _, resource := range v.resources {
				// A kind may be served in one version only. The preferred version wins.
				if all[name][resource] == "" || v.preferred {
					all[name][resource] = v.name
				}
			}
		}
	}
	// An API server of Calico's own shows the objects of its CRDs once more.
	if own := all["projectcalico.org"]; len(own) > 0 {
		maps.DeleteFunc(all["crd.projectcalico.org"], func(resource, _ string) bool { return own[resource] != "" })
	}
	return all, failed
}

// count returns what is known of the objects of a kind. Without the right to list them, Counted is false.
func (u *unmodelledSeeker) count(ctx context.Context, r mirror.UnmodelledResource,
	version string) (mirror.UnmodelledKind, error) {
	kind := mirror.UnmodelledKind{Group: r.Group, Kind: r.Kind}
	all := u.metadata.Resource(schema.GroupVersionResource{Group: r.Group, Version: version,
		Resource: r.Resource})
	from := metadata.ResourceInterface(all)
	if r.Namespaced && u.namespace != "" {
		from = all.Namespace(u.namespace)
	}
	namespaces := map[string]bool{}
	options := metav1.ListOptions{Limit: unmodelledPage}
	n := 0
	for {
		list, err := from.List(ctx, options)
		switch {
		case apierrors.IsForbidden(err):
			return kind, nil
		case err != nil:
			return kind, fmt.Errorf("counting %s: %w", kind.String(), err)
		}
		n += len(list.Items)
		for i := range list.Items {
			if ns := list.Items[i].Namespace; ns != "" {
				namespaces[ns] = true
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	kind.Counted, kind.Count = true, n
	kind.Namespaces = slices.Sorted(maps.Keys(namespaces))
	return kind, nil
}

// firstError returns the first of two errors.
func firstError(first, second error) error {
	if first != nil {
		return first
	}
	return second
}
