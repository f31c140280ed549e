package convert

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
)

const (
	maxRuleName    = 100
	maxNetworks    = 25
	maxDomainNames = 25
	maxCIDRLength  = 43
)

// rules converts the rules of a direction. peersField names the field with a rule's peers: "from" or "to".
func (c *clusterCheck) rules(spec *fields, name, peersField string) []engine.ClusterRule {
	before := len(spec.errs)
	items, ok := spec.list(name)
	if !ok && spec.values[name] != nil { // it may have been meant to deny anything
		c.reject(spec.cutErrors(before))
		return denyAll()
	}
	path := spec.path.Child(name)
	if len(items) > c.dialect.most { // S46
		c.report(field.TooMany(path, len(items), c.dialect.most))
	}
	rules := make([]engine.ClusterRule, 0, len(items))
	for i, item := range items {
		rules = append(rules, c.rule(fieldsOf(item, path.Index(i)), peersField))
	}
	return rules
}

// rule converts one rule. A rule that is not understood matches nothing if it allows; otherwise it denies
// everything (S45).
func (c *clusterCheck) rule(f *fields, peersField string) engine.ClusterRule {
	var r engine.ClusterRule
	r.Name, _ = f.text("name")
	if n := len([]rune(r.Name)); n > maxRuleName { // S46
		c.report(field.TooLongCharacters(f.path.Child("name"), "", maxRuleName))
	}
	action, known := c.action(f)
	r.Action = action
	named := c.ports(f, &r.Rule)
	kinds := c.peers(f, peersField, action, known, named, &r)
	errs := f.end()
	c.reject(errs)
	// Names that are not resolved cannot be denied one by one, whatever the action was meant to be.
	understood := len(errs) == 0 && (known || !slices.Contains(kinds, "domainNames"))
	switch {
	case understood:
	case r.Action == engine.Allow:
		matchNothing(&r)
	default:
		r = engine.ClusterRule{Name: r.Name, Action: engine.Deny, NotUnderstood: true}
	}
	return r
}

// action returns the action of a rule. It reports whether the action is understood. One that is not denies
// (S45). It is reported as a problem, but the rest of the rule still counts.
func (c *clusterCheck) action(f *fields) (does engine.Action, understood bool) {
	before := len(f.errs)
	text, ok := f.text("action")
	known := []string{c.dialect.allow, "Deny"}
	if c.dialect.pass {
		known = append(known, "Pass")
	}
	switch {
	case ok && text == c.dialect.allow:
		return engine.Allow, true
	case ok && text == "Deny":
		return engine.Deny, true
	case ok && text == "Pass" && c.dialect.pass:
		return engine.Pass, true
	case ok:
		f.errs = append(f.errs, field.NotSupported(f.path.Child("action"), text, known))
	case f.values != nil && f.values["action"] == nil:
		f.errs = append(f.errs, field.Required(f.path.Child("action"), "must be one of "+quotedList(known)))
	}
	if f.values != nil { // a rule that is no mapping keeps its one error
		c.reject(f.cutErrors(before))
	}
	return engine.Deny, false
}

// peers sets the peers of a rule and returns their kinds. known means that the action is understood, and
// named that one of its ports is named.
func (c *clusterCheck) peers(
	f *fields, name string, action engine.Action, known, named bool, to *engine.ClusterRule,
) (kinds []string) {
	path := f.path.Child(name)
	items, ok := f.list(name)
	switch {
	case f.values == nil, !ok && f.values[name] != nil:
		return nil
	case len(items) == 0:
		f.errs = append(f.errs, field.Required(path, "must have a peer"))
		return nil
	case len(items) > c.dialect.most: // S46
		c.report(field.TooMany(path, len(items), c.dialect.most))
	}
	allowed := []string{"namespaces", "pods"}
	if name == "to" {
		allowed = append(allowed, "nodes", "networks")
		if c.dialect.domainNames {
			allowed = append(allowed, "domainNames")
		}
	}
	for i, item := range items {
		p := fieldsOf(item, path.Index(i))
		kind := p.oneOf(allowed...)
		peers, names := c.peer(p, kind, action, known)
		to.Peers = append(to.Peers, peers...)
		to.Origins = append(to.Origins, engine.PeerOrigin{Peers: len(peers), Names: names})
		f.merge(p)
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if !slices.ContainsFunc(to.Origins, func(o engine.PeerOrigin) bool {
		return o.Peers != 1 || o.Names != nil
	}) {
		to.Origins = nil
	}
	portless := slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool {
		return !slices.Contains(allowed[2:], kind)
	})
	if named && len(portless) > 0 {
		f.errs = append(f.errs, field.Forbidden(f.path,
			"a named port may not be beside a peer "+quotedList(portless)))
	}
	return kinds
}

// peer converts one peer. The engine has one peer for each network of `networks`; domain names are returned
// beside the peer. known means that the action is understood.
func (c *clusterCheck) peer(
	p *fields, kind string, action engine.Action, known bool,
) (peers []engine.Peer, names []string) {
	switch kind {
	case "namespaces":
		if s, ok := p.selector(kind); ok {
			namespaces := selector(s)
			return []engine.Peer{{Namespaces: &namespaces}}, nil
		}
	case "pods":
		namespaces, pods := c.namespacedPods(p)
		return []engine.Peer{{Namespaces: &namespaces, Pods: &pods}}, nil
	case "nodes":
		if s, ok := p.selector(kind); ok {
			nodes := selector(s)
			return []engine.Peer{{Nodes: &nodes}}, nil
		}
	case "networks":
		return c.networks(p), nil
	case "domainNames":
		names = c.domains(p, action, known)
	}
	return []engine.Peer{{}}, names
}

// networks converts the CIDRs of a peer (S39, S48).
func (c *clusterCheck) networks(p *fields) []engine.Peer {
	path := p.path.Child("networks")
	items, ok := p.list("networks")
	if ok && len(items) == 0 {
		p.errs = append(p.errs, field.Required(path, "must have a CIDR"))
	}
	if len(items) > maxNetworks { // S46
		c.report(field.TooMany(path, len(items), maxNetworks))
	}
	var peers []engine.Peer
	for i, item := range items {
		at := path.Index(i)
		text, ok := item.(string)
		if !ok {
			p.errs = append(p.errs, wrongType(at, item, "text"))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Addr().Is4In6() || len(text) > maxCIDRLength {
			p.errs = append(p.errs, field.Invalid(at, text, "must be a CIDR (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
			continue
		}
		if masked := prefix.Masked(); masked != prefix {
			c.warn(at.String(), field.Invalid(at, text,
				"must have no bits set after the prefix length; it is read as "+masked.String()).ErrorBody())
			prefix = masked
		}
		if slices.Index(items, item) < i { // S46
			c.report(field.Duplicate(at, text))
		}
		peers = append(peers, engine.Peer{Block: &engine.IPBlock{CIDR: prefix}})
	}
	return peers
}

var domainName = regexp.MustCompile(
	`^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$`)

// domains checks the domain names of a peer. The peer matches nothing, because netpold resolves no names
// (S40). known means that the action is understood. It returns the names.
func (c *clusterCheck) domains(p *fields, action engine.Action, known bool) []string {
	path := p.path.Child("domainNames")
	items, ok := p.list("domainNames")
	if ok && len(items) == 0 {
		p.errs = append(p.errs, field.Required(path, "must have a domain name"))
	}
	if len(items) > maxDomainNames { // S46
		c.report(field.TooMany(path, len(items), maxDomainNames))
	}
	if known && action != engine.Allow {
		p.errs = append(p.errs, field.Forbidden(path,
			"may only be beside the action "+strconv.Quote(c.dialect.allow)))
	}
	var names []string
	for i, item := range items {
		at := path.Index(i)
		text, ok := item.(string)
		switch {
		case !ok:
			p.errs = append(p.errs, wrongType(at, item, "text"))
		case !domainName.MatchString(text):
			p.errs = append(p.errs, field.Invalid(at, text,
				"must be a domain name (e.g. example.com or *.example.com)"))
		case slices.Contains(names, text): // S46
			c.report(field.Duplicate(at, text))
		}
		names = append(names, text)
	}
	if known && len(p.errs) == 0 {
		c.warn(path.String(), "netpold resolves no names, so that this peer matches nothing: "+
			strings.Join(names, ", "))
	}
	return names
}
