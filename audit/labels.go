package audit

import (
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
	return s == nil || len(unmet(*s, labels)) == 0
}

// unmet returns the requirements that labels do not meet, in order.
func unmet(s engine.Selector, labels map[string]string) []*engine.Requirement {
	var list []*engine.Requirement
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

// repair returns the fewest changes of labels after which they meet s; nil if there are none.
func repair(s engine.Selector, labels map[string]string, ofNamespace bool) *LabelFix {
	fix := &LabelFix{OfNamespace: ofNamespace, Set: map[string]string{}}
	for _, r := range unmet(s, labels) {
		if _, done := fix.Set[r.Key]; done || slices.Contains(fix.Remove, r.Key) {
			continue
		}
		if ofNamespace && r.Key == metadataName {
			return nil
		}
		switch value, remove, ok := repairKey(s, r.Key); {
		case !ok:
			return nil
		case remove:
			fix.Remove = append(fix.Remove, r.Key)
		default:
			fix.Set[r.Key] = value
		}
	}
	slices.Sort(fix.Remove)
	return fix
}

// repairKey returns what meets all requirements of s on one key: a value, or the label's removal.
func repairKey(s engine.Selector, key string) (value string, remove, ok bool) {
	var of engine.Selector
	for _, r := range s {
		if r.Key == key {
			of = append(of, r)
		}
	}
	if matches(&of, nil) {
		return "", true, true
	}
	for _, candidate := range candidates(of) {
		if isLabelValue(candidate) && matches(&of, map[string]string{key: candidate}) {
			return candidate, false, true
		}
	}
	return "", false, false
}

// candidates returns values of which one meets all requirements on a key, if any value does.
func candidates(of engine.Selector) []string {
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
	return append(wanted, "true", "yes", longest+"x")
}

// isLabelValue reports whether Kubernetes takes value as that of a label.
func isLabelValue(value string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return len(value) <= 63 && strings.Trim(value, letters+"-_.") == "" &&
		(value == "" || strings.Contains(letters, value[:1]) && strings.Contains(letters, value[len(value)-1:]))
}
