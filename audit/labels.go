package audit

import (
	"iter"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// metadataName is the label of a Namespace that always equals its name (S18).
const metadataName = "kubernetes.io/metadata.name"

// meets reports whether labels meet a requirement (S17).
func meets(labels map[string]string, r *engine.Requirement) bool {
	value, has := labels[r.Key]
	switch r.Operator {
	case engine.In:
		return has && slices.Contains(r.Values, value)
	case engine.NotIn:
		return !has || !slices.Contains(r.Values, value)
	case engine.Exists:
		return has
	case engine.DoesNotExist:
		return !has
	}
	return false // an unknown operator matches nothing (S23)
}

// matches reports whether labels meet all requirements. A nil selector matches everything.
func matches(s *engine.Selector, labels map[string]string) bool {
	if s == nil {
		return true
	}
	for i := range *s {
		if !meets(labels, &(*s)[i]) {
			return false
		}
	}
	return true
}

// unmet returns the requirements that labels do not meet, in order.
func unmet(s engine.Selector, labels map[string]string) []*engine.Requirement {
	return appendUnmet(nil, s, labels)
}

// appendUnmet appends the requirements that labels do not meet, in order.
func appendUnmet(list []*engine.Requirement, s engine.Selector, labels map[string]string) []*engine.Requirement {
	for i := range s {
		if !meets(labels, &s[i]) {
			list = append(list, &s[i])
		}
	}
	return list
}

// LabelFix is a change of labels of one object.
type LabelFix struct {
	// OfNamespace reports whether they are labels of the Pod's namespace, and not of the Pod.
	OfNamespace bool
	Set         map[string]string
	// Remove is sorted.
	Remove []string
}

// changes returns how many labels the fix changes.
func (f *LabelFix) changes() int { return len(f.Set) + len(f.Remove) }

// applied returns labels as the fix leaves them.
func (f *LabelFix) applied(labels map[string]string) map[string]string {
	changed := make(map[string]string, len(labels)+len(f.Set))
	for key, value := range labels {
		if !slices.Contains(f.Remove, key) {
			changed[key] = value
		}
	}
	for key, value := range f.Set {
		changed[key] = value
	}
	return changed
}

// maxRepairs is how many repairs of one selector are tried.
const maxRepairs = 64

// repairs yields changes of labels after which they meet s: each of them the fewest, and no more than are worth
// trying. mentioned has values that others look at, by key.
func repairs(
	s engine.Selector, labels map[string]string, ofNamespace bool, mentioned map[string][]string,
) iter.Seq[*LabelFix] {
	var keys []string
	var options [][]repair
	for _, r := range unmet(s, labels) {
		if slices.Contains(keys, r.Key) {
			continue
		}
		if ofNamespace && r.Key == metadataName {
			return func(func(*LabelFix) bool) {}
		}
		keys, options = append(keys, r.Key), append(options, repairsOfKey(s, r.Key, mentioned[r.Key]))
	}
	return func(yield func(*LabelFix) bool) {
		for i := range maxRepairs {
			fix := &LabelFix{OfNamespace: ofNamespace, Set: map[string]string{}}
			rest := i // with a digit for each key
			for k, key := range keys {
				n := len(options[k])
				if n == 0 {
					return
				}
				if o := options[k][rest%n]; o.remove {
					fix.Remove = append(fix.Remove, key)
				} else {
					fix.Set[key] = o.value
				}
				rest /= n
			}
			slices.Sort(fix.Remove)
			if rest > 0 || !yield(fix) {
				return
			}
		}
	}
}

// A repair is what may become of one label: a value, or its removal.
type repair struct {
	value  string
	remove bool
}

// repairsOfKey returns what meets all requirements of s on one key. The removal is first.
func repairsOfKey(s engine.Selector, key string, mentioned []string) []repair {
	of := s
	if len(s) > 1 {
		of = slices.DeleteFunc(slices.Clone(s), func(r engine.Requirement) bool { return r.Key != key })
	}
	var list []repair
	if matches(&of, nil) {
		list = append(list, repair{remove: true})
	}
	for _, c := range candidates(of, mentioned) {
		if len(list) == maxRepairs {
			break
		}
		if matches(&of, map[string]string{key: c}) && isLabelValue(c) && !slices.Contains(list, repair{value: c}) {
			list = append(list, repair{value: c})
		}
	}
	return list
}

// candidates returns values of which one meets all requirements on a key, if any value does.
func candidates(of engine.Selector, mentioned []string) []string {
	var wanted []string
	longest := ""
	for _, r := range of {
		if r.Operator == engine.In {
			wanted = append(wanted, r.Values...)
		}
		for _, value := range r.Values {
			if len(value) > len(longest) {
				longest = value
			}
		}
	}
	// No value that is refused has the length of the last one.
	return append(append(wanted, "true", "yes", longest+"x"), mentioned...)
}

// isLabelValue reports whether Kubernetes takes value as that of a label.
func isLabelValue(value string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return len(value) <= 63 && strings.Trim(value, letters+"-_.") == "" &&
		(value == "" || strings.Contains(letters, value[:1]) && strings.Contains(letters, value[len(value)-1:]))
}
