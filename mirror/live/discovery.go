package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/netpold/netpold/mirror/convert"
)

// A discoverer returns a path of the discovery API, such as /apis, as JSON. client-go has a package for that,
// but it depends on all of OpenAPI.
type discoverer func(ctx context.Context, path string) ([]byte, error)

// A servedGroup is an API group that is served.
type servedGroup struct {
	// versions are its versions, in the order of the API server.
	versions []servedVersion
}

// A servedVersion is a version of an API group.
type servedVersion struct {
	name      string
	preferred bool
	// resources are the plural names of its resources; err means that they are not known.
	resources []string
	err       error
}

// requiredGroup is served by every cluster that netpold can mirror. An answer without it is no list of groups.
const requiredGroup = "networking.k8s.io"

// groups returns the wanted API groups that are served. Without an error, a group that is missing is not served.
func (ask discoverer) groups(ctx context.Context, wanted func(group string) bool) (map[string]servedGroup, error) {
	var list metav1.APIGroupList
	if err := ask.read(ctx, "/apis", &list); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(list.Groups, func(g metav1.APIGroup) bool { return g.Name == requiredGroup }) {
		return nil, errors.New("discovery, /apis: the answer is no list of API groups: " + requiredGroup + " is not in it")
	}
	served := map[string]servedGroup{}
	for _, g := range list.Groups {
		if !wanted(g.Name) {
			continue
		}
		group := served[g.Name]
		for _, v := range g.Versions {
			group.versions = append(group.versions, ask.version(ctx, v, v == g.PreferredVersion))
		}
		served[g.Name] = group
	}
	return served, nil
}

// version returns what a version of an API group serves.
func (ask discoverer) version(ctx context.Context, v metav1.GroupVersionForDiscovery, preferred bool) servedVersion {
	served := servedVersion{name: v.Version, preferred: preferred}
	var list metav1.APIResourceList
	if served.err = ask.read(ctx, "/apis/"+v.GroupVersion, &list); served.err != nil {
		return served
	}
	if list.GroupVersion != v.GroupVersion {
		served.err = fmt.Errorf("discovery, /apis/%s: the answer is about %q", v.GroupVersion, list.GroupVersion)
	}
	for _, r := range list.APIResources {
		served.resources = append(served.resources, r.Name)
	}
	return served
}

// read reads a path into a list of the discovery API.
func (ask discoverer) read(ctx context.Context, path string, list runtime.Object) error {
	text, err := ask(ctx, path)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("discovery, %s: no answer within %v: %w", path, lookTimeout, err)
	}
	if err == nil {
		err = json.Unmarshal(text, list)
	}
	if err != nil {
		return fmt.Errorf("discovery, %s: %w", path, err)
	}
	return nil
}

// serves reports whether a version has a resource.
func (v *servedVersion) serves(resource string) bool { return slices.Contains(v.resources, resource) }

// found says whether a kind is served.
type found struct {
	// version is the one to read the kind in; nil if it is not served.
	version *convert.Version
	// err means that it is not known whether the kind is served.
	err error
}

// find asks which of the kinds are served. It returns one answer for each.
func (ask discoverer) find(ctx context.Context, kinds []convert.Kind) []found {
	groups, err := ask.groups(ctx, func(group string) bool {
		return slices.ContainsFunc(kinds, func(k convert.Kind) bool { return k.Group() == group })
	})
	list := make([]found, len(kinds))
	for i := range kinds {
		if list[i].err = err; err == nil {
			group := groups[kinds[i].Group()]
			list[i].version, list[i].err = group.versionOf(&kinds[i])
		}
	}
	return list
}

// unknownVersionsError means that a resource is served in no version that netpold reads.
type unknownVersionsError struct {
	served, known []string
}

// Error names the versions.
func (e *unknownVersionsError) Error() string {
	return fmt.Sprintf("it is served in %s only, and this netpold reads %s: upgrade netpold",
		strings.Join(e.served, " and "), strings.Join(e.known, " and "))
}

// versionOf returns the version to read a kind in: the first of its own that is served. It returns nil if the
// kind is not served, and an error if that is not known: a version that could not be read may have it.
func (g *servedGroup) versionOf(k *convert.Kind) (*convert.Version, error) {
	known := make([]string, len(k.Versions))
	for i := range k.Versions {
		v := &k.Versions[i]
		known[i] = v.Version
		at := slices.IndexFunc(g.versions, func(s servedVersion) bool { return s.name == v.Version })
		switch {
		case at < 0:
		case g.versions[at].err != nil:
			return nil, g.versions[at].err
		case g.versions[at].serves(k.Resource):
			return v, nil
		}
	}
	var unknown []string
	for i := range g.versions {
		v := &g.versions[i]
		if v.err != nil {
			return nil, v.err
		}
		if v.serves(k.Resource) {
			unknown = append(unknown, v.name)
		}
	}
	if len(unknown) > 0 {
		return nil, &unknownVersionsError{served: unknown, known: known}
	}
	return nil, nil
}

// discover is a [discoverer] for the API server.
func (c *client) discover(ctx context.Context, path string) ([]byte, error) {
	core := c.byPath[schema.GroupVersion{Version: "v1"}]
	return core.Get().AbsPath(path).SetHeader("Accept", runtime.ContentTypeJSON).MaxRetries(0).Do(ctx).Raw()
}
