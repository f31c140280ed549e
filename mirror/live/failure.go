package live

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/netpold/netpold/mirror/convert"
)

// A verb is what is asked of the API server, in the words of RBAC.
type verb string

const (
	verbList  verb = "list"
	verbWatch verb = "watch"
	// verbDiscover needs no right.
	verbDiscover verb = "discover"
)

// failureLocked returns what fails and what to do about it; empty if nothing fails. r.mu must be held.
func (r *resource) failureLocked() string {
	var parts []string
	var forbidden []string
	for _, v := range []verb{verbList, verbWatch} {
		err := r.failures[v]
		switch {
		case err == nil:
		case apierrors.IsForbidden(err):
			forbidden = append(forbidden, string(v))
		default:
			text := "cannot " + string(v) + " resource " + quoted(r.Qualified()) + ": " + r.remedy(err)
			if !slices.ContainsFunc(parts, func(p string) bool { return strings.HasSuffix(p, r.remedy(err)) }) {
				parts = append(parts, text)
			}
		}
	}
	if len(forbidden) > 0 {
		verbs := strings.Join(forbidden, " and ")
		word := "verb "
		if len(forbidden) > 1 {
			word = "verbs "
		}
		parts = append(parts, "cannot "+verbs+" resource "+quoted(r.Qualified())+": grant "+word+verbs+" on "+
			r.Qualified()+" to "+refusedUser(r.failures)+", "+r.scopeText()+r.ruleText())
	}
	if err := r.failures[verbDiscover]; err != nil {
		parts = append(parts, "cannot tell whether the API server has resource "+quoted(r.Qualified())+": "+
			r.discoveryRemedy(err))
	}
	return strings.Join(parts, "; ")
}

// userIn matches the user whom the API server names when it forbids something.
var userIn = regexp.MustCompile(`User "([^"]+)"`)

// refusedUser returns whom rights must be granted to, in words, by what the API server says when it forbids something.
func refusedUser(failures map[verb]error) string {
	for _, v := range []verb{verbList, verbWatch} {
		if err := failures[v]; apierrors.IsForbidden(err) {
			if match := userIn.FindStringSubmatch(err.Error()); match != nil {
				return userText(match[1])
			}
		}
	}
	return "the user that asks"
}

func userText(user string) string {
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		return "the ServiceAccount " + strings.Replace(account, ":", "/", 1)
	}
	return "the user " + quoted(user)
}

// scopeText returns where a right is needed, in words.
func (r *resource) scopeText() string {
	if r.namespace != "" && r.Namespaced {
		return "in namespace " + r.namespace
	}
	return "for the whole cluster (see deploy/)"
}

// ruleText returns the rule that a role lacks which was made for a netpold without the resource; empty for
// resources that every role has.
func (r *resource) ruleText() string {
	if !r.Optional {
		return ""
	}
	var resources []string
	for _, k := range convert.OptionalKinds() {
		resources = append(resources, k.Resource)
	}
	return fmt.Sprintf("; its ClusterRole needs the rule {apiGroups: [%s], resources: [%s], "+
		"verbs: [get, list, watch]}; if the network plugin ignores these policies, run with --policy-tiers=off",
		r.Group(), strings.Join(resources, ", "))
}

// discoveryRemedy is [resource.remedy] for an error of the discovery API.
func (r *resource) discoveryRemedy(err error) string {
	if apierrors.IsNotFound(err) {
		return "it is asked again (" + err.Error() + ")"
	}
	return r.remedy(err)
}

// refusedLocked reports whether the API server refuses the caller's credentials (401) and rights (403). r.mu
// must be held.
func (r *resource) refusedLocked() (unauthorized, forbidden bool) {
	for _, err := range r.failures {
		unauthorized = unauthorized || apierrors.IsUnauthorized(err)
		forbidden = forbidden || apierrors.IsForbidden(err)
	}
	return unauthorized, forbidden
}

func quoted(s string) string { return `"` + s + `"` }

// CredentialsRefused is what 401 of the API server means, and what to do.
const CredentialsRefused = "the API server does not accept the credentials (401): renew the token or client " +
	"certificate; 'kubectl auth whoami' tells whether they count"

// remedy returns an error of the API server, or of the connection to it, with its cause and what to do.
func (r *resource) remedy(err error) string {
	reason := err
	// the URL has a random part, and equal failures would differ
	if call, ok := errors.AsType[*url.Error](err); ok {
		reason = call.Err
	}
	text := strings.Join(strings.Fields(reason.Error()), " ")
	switch {
	case errors.Is(err, errNoAnswer):
		return "the API server gave " + text + ": it, or what is between, hangs; it is asked again"
	case apierrors.IsUnauthorized(err):
		return CredentialsRefused
	case apierrors.IsNotFound(err) && r.Optional:
		return "the API server does not know it, but its discovery does; it is asked again (" + text + ")"
	case apierrors.IsNotFound(err):
		return "the API server does not know " + r.Versions[0].String() +
			": netpold needs Kubernetes 1.21 or newer (" + text + ")"
	case apierrors.IsTooManyRequests(err):
		return "the API server has too much to do (429); it is asked again (" + text + ")"
	case utilnet.IsConnectionRefused(err):
		return "nothing listens at the API server's address; it is asked again (" + text + ")"
	case errors.Is(err, context.DeadlineExceeded) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err):
		return "the API server was too slow; it is asked again (" + text + ")"
	}
	return text
}

// withoutNumbers returns text without its digits. Equal failures differ in them: in the caller's port, a
// stream's number or a resource version.
func withoutNumbers(text string) string {
	return strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' {
			return -1
		}
		return c
	}, text)
}
