package audit

import (
	"errors"
	"fmt"
	"net/netip"

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

// readPorts returns the ports that a request asks for; nil for all.
func readPorts(list []PortRange) (engine.PortSet, error) {
	if len(list) == 0 {
		return nil, nil
	}
	ports := engine.NewPortSet(list...)
	if ports == nil {
		return nil, &RequestError{"ports", engine.InvalidQuestion, "is empty: give ports from 1 to 65535"}
	}
	return ports, nil
}

// An endSet is what one end of a request selects.
type endSet struct {
	// all reports whether everything in the cluster is meant. Otherwise namespaces are those all of whose
	// Pods are, and matches reports it of a Pod by its labels; nil for none.
	all        bool
	namespaces map[string]bool
	matches    func(*engine.RoleEnd) bool
	// matched reports whether it was true of some Pod.
	matched bool
	// ends are those that endpoints stand for, and pods those of them that are Pods, by namespace and name.
	ends []engine.RoleEnd
	pods map[[2]string]bool
	// outside are the addresses outside the cluster: all if allOutside is set.
	outside    []netip.Prefix
	allOutside bool
	services   []engine.RoleEnd
	// allServices reports whether all Services are meant.
	allServices bool
}

// scans reports whether all Pods have to be looked at.
func (s *endSet) scans() bool { return s.all || len(s.namespaces) > 0 || s.matches != nil }

// hasPod reports whether a Pod is meant.
func (s *endSet) hasPod(e *engine.RoleEnd) bool {
	matches := s.matches != nil && s.matches(e)
	s.matched = s.matched || matches
	return s.all || s.namespaces[e.Namespace] || matches ||
		len(s.pods) > 0 && s.pods[[2]string{e.Namespace, e.Name}]
}

// An endReader reads what one end of a request selects in a snapshot.
type endReader struct {
	snapshot *engine.Snapshot
	roles    *engine.Roles
	// services reports whether Services are ends.
	services bool
}

// read returns the ends that one side of a request selects, and an error for each name that stands for none.
// field is src or dst.
func (r endReader) read(e *Ends, field string, dst bool) (found endSet, errs []*RequestError) {
	found = endSet{namespaces: map[string]bool{}, pods: map[[2]string]bool{}}
	if !e.isNamed() {
		found.all = e.Scope != ScopeExternal
		found.allServices = found.all && dst && r.services
		found.allOutside = e.Scope != ScopeCluster
		return found, nil
	}
	for i, name := range e.Namespaces {
		if !r.snapshot.HasNamespace(name) {
			errs = append(errs, &RequestError{
				fmt.Sprintf("%s.namespaces[%d]", field, i), engine.NotFound,
				fmt.Sprintf("namespace %q is not known: check the name", name),
			})
		}
		found.namespaces[name] = true
	}
	if e.Pods != nil || e.NamespaceLabels != nil {
		found.matches = r.roles.PodMatcher(e.NamespaceLabels, e.Pods)
	}
	for i, endpoint := range e.Endpoints {
		if err := r.readEndpoint(&found, endpoint, dst); err != nil {
			errs = append(errs, inField(err, fmt.Sprintf("%s.endpoints[%d]", field, i)))
		}
	}
	return found, errs
}

// selectsNothing returns the error of selectors that no Pod matches, as is known once all Pods were looked
// at; nil for others.
func (e *Ends) selectsNothing(matched bool, field string) error {
	switch {
	case matched || e.Pods == nil && e.NamespaceLabels == nil:
		return nil
	case e.Pods == nil:
		return &RequestError{
			field + ".namespace_selector", engine.NotFound, "matches no namespace with a Pod: check the labels",
		}
	case e.NamespaceLabels == nil:
		return &RequestError{field + ".pod_selector", engine.NotFound, "matches no Pod that there is: check the labels"}
	}
	return &RequestError{field + ".pod_selector", engine.NotFound,
		"matches no Pod in the namespaces that are selected too: check the labels of both"}
}

// isNamed reports whether the ends name anything, so that the scope does not count.
func (e *Ends) isNamed() bool {
	return len(e.Endpoints)+len(e.Namespaces) > 0 || e.Pods != nil || e.NamespaceLabels != nil
}

// meansAll reports whether everything in the cluster is meant.
func (e *Ends) meansAll() bool { return !e.isNamed() && e.Scope != ScopeExternal }

// readEndpoint adds what an endpoint stands for.
func (r endReader) readEndpoint(to *endSet, e engine.Endpoint, dst bool) error {
	ends, err := r.roles.Ends(e, dst)
	if err != nil {
		return err
	}
	for _, end := range ends {
		switch {
		case end.Kind == engine.RoleOutside:
			ip := end.IPs[0]
			to.outside = append(to.outside, netip.PrefixFrom(ip, ip.BitLen()))
		case end.Kind != engine.RoleService:
			if end.Labelled != nil {
				end.Name = labelledWords(end.Labelled)
			}
			to.ends = append(to.ends, end)
			if end.Kind == engine.RolePod || end.Kind == engine.RoleHostNetwork {
				to.pods[[2]string{end.Namespace, end.Name}] = true
			}
		case dst && r.services:
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
func inField(err error, field string) *RequestError {
	var query *engine.QueryError
	if errors.As(err, &query) {
		return &RequestError{field, query.Code, query.Subject + " " + query.Detail}
	}
	return &RequestError{field, engine.InvalidQuestion, err.Error()}
}
