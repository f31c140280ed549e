package netpold

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// endsForms ends every error of [ParseEnds] about a word that is no endpoint.
const endsForms = "write ns/shop (a namespace), 'pods/shop?app=web,tier in (a, b)' (Pods that there are; pods/*? for " +
	"those of every namespace), external or cluster"

// ParseEnds parses ends of connections in words, for ListConnectionsRequest.src and dst. What any word names
// is meant. No words mean everything; then the result is nil. Words are those of [ParseEndpoint] and
//
//	ns/shop                  all Pods of namespace shop; a Pod of a namespace ns is pod/ns/NAME
//	pods/shop?app=web,!old   the Pods of namespace shop with these labels, in the syntax of kubectl's -l
//	pods/*?app=web           the same, of every namespace
//	external                 what is outside of the cluster
//	cluster                  what is in the cluster
//
// external and cluster stand alone. Words with pods/ have one selector, since a request has one.
func ParseEnds(words ...string) (*netpoldv1.Ends, error) {
	if len(words) == 0 {
		return nil, nil //nolint:nilnil // nil is everything
	}
	p := endsParser{ends: new(netpoldv1.Ends), alone: len(words) == 1}
	var errs []error
	for _, word := range words {
		if err := p.add(word); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.selectNamespaces()
	return p.ends, nil
}

// An endsParser collects what words name.
type endsParser struct {
	ends *netpoldv1.Ends
	// alone means that there is one word.
	alone bool
	// first is the first word with a selector; "" for none.
	first string
	// in are the namespaces that words with a selector name. everywhere means that one names them all.
	in         []string
	everywhere bool
}

func (p *endsParser) add(word string) error {
	switch kind, rest, _ := strings.Cut(word, "/"); {
	case word == "external":
		return p.scope(word, netpoldv1.Scope_SCOPE_EXTERNAL)
	case word == "cluster":
		return p.scope(word, netpoldv1.Scope_SCOPE_CLUSTER)
	case kind == "ns" && !strings.ContainsAny(rest, "/?"):
		return p.namespace(word, rest)
	case kind == "pods" && strings.Contains(rest, "?"):
		return p.selector(word, rest)
	}
	endpoint, err := ParseEndpoint(word)
	if err != nil {
		return fmt.Errorf("%w; or %s", err, endsForms)
	}
	p.ends.Endpoints = append(p.ends.Endpoints, endpoint)
	return nil
}

func (p *endsParser) scope(word string, scope netpoldv1.Scope) error {
	if !p.alone {
		return fmt.Errorf("%q stands alone: leave the other words out, or leave it out", word)
	}
	p.ends.Scope = scope
	return nil
}

func (p *endsParser) namespace(word, name string) error {
	if name == "" {
		return fmt.Errorf("%q: the name of a namespace is missing after ns/", word)
	}
	if wrong := names.Namespace(name); wrong != "" {
		return fmt.Errorf("%q: %q %s", word, name, wrong)
	}
	if !slices.Contains(p.ends.Namespaces, name) {
		p.ends.Namespaces = append(p.ends.Namespaces, name)
	}
	return nil
}

func (p *endsParser) selector(word, rest string) error {
	namespace, selector, _ := strings.Cut(rest, "?")
	if !utf8.ValidString(word) {
		return fmt.Errorf("%q: it is not UTF-8", word)
	}
	switch namespace {
	case "*":
	case "":
		return fmt.Errorf("%q: the name of a namespace is missing after pods/; write pods/*? for every namespace", word)
	default:
		if wrong := names.Namespace(namespace); wrong != "" {
			return fmt.Errorf("%q: %q %s; or write * for every namespace", word, namespace, wrong)
		}
	}
	switch {
	case selector == "" && namespace == "*":
		return fmt.Errorf("%q: a selector is missing after the ?; write cluster for every Pod", word)
	case selector == "":
		return fmt.Errorf("%q: a selector is missing after the ?; write ns/%s for every Pod of it", word, namespace)
	}
	if _, err := names.ParseSelector(selector); err != nil {
		return fmt.Errorf("%q: %w", word, err)
	}
	if p.first != "" && selector != p.ends.GetPodSelector() {
		return fmt.Errorf("%q has another selector than %q, and one list has one: ask for each by itself", word, p.first)
	}
	if p.first == "" {
		p.first = word
	}
	p.ends.PodSelector = selector
	if namespace == "*" {
		p.everywhere = true
	} else if !slices.Contains(p.in, namespace) {
		p.in = append(p.in, namespace)
	}
	return nil
}

// namespaceLabel is the label that every Namespace has, with its name as the value (S18).
const namespaceLabel = "kubernetes.io/metadata.name"

// selectNamespaces selects the namespaces that words with a selector name.
func (p *endsParser) selectNamespaces() {
	switch {
	case p.everywhere || len(p.in) == 0:
	case len(p.in) == 1:
		p.ends.NamespaceSelector = namespaceLabel + "=" + p.in[0]
	default:
		p.ends.NamespaceSelector = namespaceLabel + " in (" + strings.Join(p.in, ",") + ")"
	}
}
