package audit

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netpold/netpold/engine"
)

// RequestError says what is wrong in a request.
type RequestError struct {
	// Field is the field as the wire names it: src.endpoints[0].
	Field string
	// Code is [engine.InvalidQuestion] for what makes no sense, [engine.NotFound] and others for what is not
	// there.
	Code engine.ErrorCode
	// Detail is the value, what is wrong with it and what to do.
	Detail string
}

// Error joins the field and the detail.
func (e *RequestError) Error() string { return e.Field + ": " + e.Detail }

// An endSet is what one end of a request selects.
type endSet struct {
	// ends are those in the cluster.
	ends []engine.RoleEnd
	// outside are the addresses outside the cluster: all if allOutside is set.
	outside    []netip.Prefix
	allOutside bool
	services   []engine.RoleEnd
	// allServices reports whether all Services are meant.
	allServices bool
}

// An endReader looks up what a request selects.
type endReader struct {
	list *List
	// pods are all Pods, in order of namespace and name, and nodes all addresses of Nodes if the request has
	// them.
	pods, nodes []engine.RoleEnd
}

// read returns the ends that one side of a request selects. field is src or dst.
func (r *endReader) read(e *Ends, field string, dst bool) (endSet, error) {
	var found endSet
	named := len(e.Endpoints)+len(e.Namespaces) > 0 || e.Pods != nil || e.NamespaceLabels != nil
	if !named {
		if e.Scope != ScopeExternal {
			found.ends = slices.Concat(r.pods, r.nodes)
			found.allServices = dst && r.list.request.Services
		}
		found.allOutside = e.Scope != ScopeCluster
		return found, nil
	}
	for i, name := range e.Namespaces {
		if !r.list.snapshot.HasNamespace(name) {
			return endSet{}, &RequestError{
				fmt.Sprintf("%s.namespaces[%d]", field, i), engine.NotFound,
				fmt.Sprintf("namespace %q is not known: check the name", name),
			}
		}
		for _, p := range r.pods {
			if p.Namespace == name {
				found.ends = append(found.ends, p)
			}
		}
	}
	if e.Pods != nil || e.NamespaceLabels != nil {
		matches := r.list.roles.PodMatcher(e.NamespaceLabels, e.Pods)
		for i := range r.pods {
			if matches(&r.pods[i]) {
				found.ends = append(found.ends, r.pods[i])
			}
		}
	}
	for i, endpoint := range e.Endpoints {
		if err := r.readEndpoint(&found, endpoint, dst); err != nil {
			return endSet{}, inField(err, fmt.Sprintf("%s.endpoints[%d]", field, i))
		}
	}
	return found, nil
}

// readEndpoint adds what an endpoint stands for.
func (r *endReader) readEndpoint(to *endSet, e engine.Endpoint, dst bool) error {
	ends, err := r.list.roles.Ends(e, dst)
	if err != nil {
		return err
	}
	for _, end := range ends {
		switch {
		case end.Kind == engine.RoleOutside:
			ip := end.IPs[0]
			to.outside = append(to.outside, netip.PrefixFrom(ip, ip.BitLen()))
		case end.Kind != engine.RoleService:
			to.ends = append(to.ends, end)
		case dst && r.list.request.Services:
			to.services = append(to.services, end)
		case dst:
			return errors.New("a Service stands for other ends: include Services, or name what is behind it")
		default:
			return errors.New("a Service cannot open connections: name a Pod or a workload as source")
		}
	}
	return nil
}

// inField returns err as the error of a field.
func inField(err error, field string) error {
	var query *engine.QueryError
	if errors.As(err, &query) {
		return &RequestError{field, query.Code, query.Subject + " " + query.Detail}
	}
	return &RequestError{field, engine.InvalidQuestion, err.Error()}
}
