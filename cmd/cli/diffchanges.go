package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The flags that change a state.
const (
	filenameFlag = "filename"
	deleteFlag   = "delete"
	labelFlag    = "label"
)

// changes are the flags that change a state: what kubectl apply, delete and label would do.
type changes struct {
	files []string
	prune bool
	// edits are --delete and --label, in the order of the command line.
	edits []config.Entry
}

// any reports whether some change is asked for.
func (c *changes) any() bool { return len(c.files) > 0 || c.prune || len(c.edits) > 0 }

// overlay returns the changes: first what the files apply, then the others in order.
func (c *changes) overlay(ctx context.Context, inv *invocation) (*overlay, error) {
	edits := make([]*netpoldv1.OverlayChange, len(c.edits))
	var errs []error
	for i, e := range c.edits {
		var err error
		if e.Flag == deleteFlag {
			edits[i], err = parseDelete(e.Text)
		} else {
			edits[i], err = parseLabel(e.Text)
		}
		if err != nil {
			errs = append(errs, usageError(inv.running, "--%s %s: %s", e.Flag, e.Text, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	o, err := inv.readToPrune(ctx, filenameFlag, c.files, c.prune)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &overlay{Overlay: new(netpoldv1.Overlay), flag: "--" + c.edits[0].Flag}
	}
	o.Prune = c.prune
	for i, e := range c.edits {
		o.add(edits[i], "--"+e.Flag+" "+e.Text)
	}
	return o, nil
}

// parseDelete parses KIND/NS/NAME, or KIND/NAME for a kind without namespaces.
func parseDelete(text string) (*netpoldv1.OverlayChange, error) {
	ref, err := parseObject(text, "")
	if err != nil {
		return nil, err
	}
	return &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Delete{Delete: ref}}, nil
}

// parseLabel parses KIND/NS/NAME=KEY=VALUE,KEY-.
func parseLabel(text string) (*netpoldv1.OverlayChange, error) {
	object, labels, _ := strings.Cut(text, "=")
	ref, err := parseObject(object, "=KEY=VALUE,KEY-")
	if err != nil {
		return nil, err
	}
	change := &netpoldv1.LabelChange{Kind: ref.GetKind(), Namespace: ref.GetNamespace(), Name: ref.GetName()}
	for part := range strings.SplitSeq(labels, ",") {
		key, value, set := strings.Cut(part, "=")
		removed, removes := strings.CutSuffix(part, "-")
		_, again := change.GetSet()[key]
		switch {
		case set && key != "" && !again:
			if change.Set == nil {
				change.Set = map[string]string{}
			}
			change.Set[key] = value
		case set && again:
			return nil, fmt.Errorf("sets %q twice: leave one of them out", key)
		case removes && removed != "" && !set:
			change.Remove = append(change.Remove, removed)
		default:
			return nil, fmt.Errorf("%q is no change of a label: write KEY=VALUE to set one, KEY- to remove it, and commas "+
				"between them", part)
		}
	}
	return &netpoldv1.OverlayChange{Change: &netpoldv1.OverlayChange_Labels{Labels: change}}, nil
}

// parseObject parses KIND/NS/NAME, or KIND/NAME for a kind without namespaces. more is what follows it, for
// errors.
func parseObject(text, more string) (*netpoldv1.ObjectRef, error) {
	parts := strings.Split(text, "/")
	kind := objectKind(parts[0])
	form := "KIND/NS/NAME"
	if kind != nil && !kind.Namespaced {
		form = "KIND/NAME"
	}
	switch {
	case len(parts) == 1:
		return nil, fmt.Errorf("names no object: write KIND/NS/NAME%s, for example netpol/shop/web%s", more,
			strings.NewReplacer("KEY=VALUE", "app=web", "KEY-", "tier-").Replace(more))
	case kind == nil:
		near := names.Nearest(strings.ToLower(parts[0]), maps.Keys(kindWords()))
		if near != "" {
			near = "did you mean " + near + "? "
		}
		return nil, fmt.Errorf("%q is no kind that plays a part: %swrite it as kubectl does, for example netpol, ns, "+
			"pod, deploy", parts[0], near)
	case len(parts) != strings.Count(form, "/")+1 || slices.Contains(parts, ""):
		return nil, fmt.Errorf("%q does not name the %s: write %s%s", text, kind.Name, form, more)
	}
	ref := &netpoldv1.ObjectRef{Kind: kind.Name, Name: parts[len(parts)-1]}
	if kind.Namespaced {
		ref.Namespace = parts[1]
	}
	return ref, nil
}

// objectKind returns the kind that a word names, in full or short, in any case; nil for none.
func objectKind(word string) *convert.Kind { return kindWords()[strings.ToLower(word)] }

// shortKinds are the short words of kubectl for kinds. Those of workloads are in the words of check.
var shortKinds = map[string]string{
	"netpol": "NetworkPolicy", "ns": "Namespace", "no": "Node", "po": "Pod", "svc": "Service",
	"cnp": "ClusterNetworkPolicy", "anp": "AdminNetworkPolicy", "banp": "BaselineAdminNetworkPolicy",
}

// kindWords returns the kinds of objects by their words.
func kindWords() map[string]*convert.Kind {
	words := map[string]*convert.Kind{}
	for _, list := range [][]convert.Kind{convert.Kinds(), convert.WorkloadKinds()} {
		for i := range list {
			kind := &list[i]
			words[strings.ToLower(kind.Name)], words[kind.Resource] = kind, kind
			if kind.Template != nil {
				short, _, _ := strings.Cut(netpold.FormatEndpoint(netpold.Workload("x", kind.Name, "x")), "/")
				words[short] = kind
			}
		}
	}
	for short, name := range shortKinds {
		if kind, ok := convert.KindNamed(name); ok {
			words[short] = kind
		}
	}
	return words
}
