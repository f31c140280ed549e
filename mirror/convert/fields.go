package convert

import (
	"maps"
	"math"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// fields reads a mapping whose schema may be newer than netpold's. It collects what is not understood (S45):
// values of the wrong type when they are read, and at the end the fields that were never read.
type fields struct {
	path   *field.Path
	values map[string]any
	// known are the names of the fields that were read.
	known []string
	// errs are the errors so far.
	errs field.ErrorList
}

// fieldsOf returns the fields of value, which is at path. If value is no mapping, it has no fields and one
// error.
func fieldsOf(value any, path *field.Path) *fields {
	f := &fields{path: path}
	values, ok := value.(map[string]any)
	if !ok {
		f.errs = append(f.errs, wrongType(path, value, "a mapping"))
	}
	f.values = values
	return f
}

func wrongType(path *field.Path, value any, want string) *field.Error {
	return field.TypeInvalid(path, value, "must be "+want)
}

// has reports whether a field is present and not null.
func (f *fields) has(name string) bool {
	f.known = append(f.known, name)
	return f.values[name] != nil
}

// text returns a field that must be text. It reports whether the field is present and valid.
func (f *fields) text(name string) (string, bool) {
	if !f.has(name) {
		return "", false
	}
	s, ok := f.values[name].(string)
	if !ok {
		f.errs = append(f.errs, wrongType(f.path.Child(name), f.values[name], "text"))
	}
	return s, ok
}

// number returns a field that must be a 32-bit integer. It reports whether the field is present and valid.
func (f *fields) number(name string) (int32, bool) {
	if !f.has(name) {
		return 0, false
	}
	switch v := f.values[name].(type) {
	case int64:
		if math.MinInt32 <= v && v <= math.MaxInt32 {
			return int32(v), true
		}
	case float64:
		if math.Trunc(v) == v && math.MinInt32 <= v && v <= math.MaxInt32 {
			return int32(v), true
		}
	}
	f.errs = append(f.errs, wrongType(f.path.Child(name), f.values[name], "a whole number of 32 bits"))
	return 0, false
}

// list returns the items of a field that must be a list. It reports whether the field is present and valid.
func (f *fields) list(name string) ([]any, bool) {
	if !f.has(name) {
		return nil, false
	}
	l, ok := f.values[name].([]any)
	if !ok {
		f.errs = append(f.errs, wrongType(f.path.Child(name), f.values[name], "a list"))
	}
	return l, ok
}

// mapping returns the fields of a field that must be a mapping. The caller must pass them to [fields.merge]
// when all are read.
func (f *fields) mapping(name string) *fields { return fieldsOf(f.values[name], f.path.Child(name)) }

// merge ends the reading of inner and adds its errors to those of f.
func (f *fields) merge(inner *fields) { f.errs = append(f.errs, inner.end()...) }

// end returns all errors, including one for each field that was never read; see [unknownField].
func (f *fields) end() field.ErrorList {
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if !slices.Contains(f.known, name) {
			f.errs = append(f.errs, unknownField(f.path.Child(name), name, f.known))
		}
	}
	return f.errs
}

// oneOf returns the one name of names that is present. It adds an error if none is, or more than one. An
// unknown field in the place of one is reported by [fields.end] alone.
func (f *fields) oneOf(names ...string) string {
	var set []string
	for _, name := range names {
		if f.has(name) {
			set = append(set, name)
		}
	}
	switch {
	case len(set) == 1:
		return set[0]
	case len(set) > 1:
		f.errs = append(f.errs, field.Forbidden(f.path, "must have one field, not "+quotedList(set)))
	case f.values != nil && !f.hasUnknown():
		f.errs = append(f.errs, field.Required(f.path, "must have one of "+quotedList(names)))
	}
	return ""
}

// hasUnknown reports whether there is a field that was not asked for so far.
func (f *fields) hasUnknown() bool {
	for name := range f.values {
		if !slices.Contains(f.known, name) {
			return true
		}
	}
	return false
}

// selector returns a label selector. It reports whether the selector is valid.
func (f *fields) selector(name string) (*metav1.LabelSelector, bool) {
	inner := f.mapping(name)
	s := &metav1.LabelSelector{}
	if inner.has("matchLabels") {
		labels := inner.mapping("matchLabels")
		for key := range labels.values {
			if value, ok := labels.text(key); ok {
				s.MatchLabels = with(s.MatchLabels, key, value)
			} else if labels.values[key] == nil {
				labels.errs = append(labels.errs, wrongType(labels.path.Key(key), nil, "text"))
			}
		}
		inner.merge(labels)
	}
	requirements, _ := inner.list("matchExpressions")
	for i, item := range requirements {
		r := fieldsOf(item, inner.path.Child("matchExpressions").Index(i))
		var to metav1.LabelSelectorRequirement
		to.Key, _ = r.text("key")
		operator, _ := r.text("operator")
		to.Operator = metav1.LabelSelectorOperator(operator)
		values, _ := r.list("values")
		for j, v := range values {
			text, ok := v.(string)
			if !ok {
				r.errs = append(r.errs, wrongType(r.path.Child("values").Index(j), v, "text"))
			}
			to.Values = append(to.Values, text)
		}
		s.MatchExpressions = append(s.MatchExpressions, to)
		inner.merge(r)
	}
	errs := inner.end()
	if len(errs) == 0 {
		errs = checkSelector(s, inner.path)
	}
	f.errs = append(f.errs, errs...)
	return s, len(errs) == 0
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func quotedList(names []string) string {
	var text string
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		text += `"` + name + `"`
	}
	return text
}
