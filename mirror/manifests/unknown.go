package manifests

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"github.com/netpold/netpold/mirror/convert"
	spelling "github.com/netpold/netpold/proto/names"
)

// reportUnexpected reports a field that is unknown or repeated. An unknown field is a problem in metadata and
// in a policy. It is also a problem if it resembles a field that decisions depend on, since that one may be
// meant. Elsewhere it is a warning, since a newer cluster may know the field.
func (r *fileReader) reportUnexpected(at location, kind *convert.Kind, t reflect.Type, err error) {
	path, message := "", err.Error()
	if f, ok := errors.AsType[kjson.FieldError](err); ok {
		path = f.FieldPath()
	}
	if !strings.HasPrefix(message, "unknown field") {
		r.problem(at, path, "duplicate field: it is given twice; remove one of them")
		return
	}
	if path == "metadata.clusterName" { // Older API servers added it to every object, without meaning.
		return
	}
	u := unknownAt(t, path)
	inStatus := path == "status" || strings.HasPrefix(path, "status.")
	switch {
	case u.meant != "" && !(kind.Policy && inStatus):
		r.problem(at, u.path, fmt.Sprintf("unknown field: did you mean %s?%s", u.meant, u.unseen))
	case inStatus: // Other versions of the API server have other status fields.
	case kind.Policy || u.unseen != "" || u.parent == reflect.TypeFor[metav1.ObjectMeta]():
		r.problem(at, u.path, "unknown field: it would be ignored; check its spelling and its place"+u.unseen)
	default:
		r.problem(at, u.path, "unknown field: it is not read; check its spelling and its place, unless a newer "+
			"Kubernetes has it"+u.unseen)
		r.problems[len(r.problems)-1].Warning = true
	}
}

// An unknown describes an unknown field.
type unknown struct {
	// path is the path of the field, with invisible letters quoted.
	path string
	// parent is the type that does not have the field; nil if it is not found.
	parent reflect.Type
	// meant is the similar field that decisions depend on; empty for none.
	meant string
	// unseen names the invisible letters of the name.
	unseen string
}

// unknownAt describes an unknown field of an object of type t.
func unknownAt(t reflect.Type, path string) unknown {
	u := unknown{path: path}
	for rest := path; ; {
		t = elementOf(t)
		if t.Kind() != reflect.Struct {
			return u
		}
		fields := map[string]reflect.Type{}
		fieldsOf(t, fields)
		name := rest[:fieldEnd(rest)]
		field, known := fields[name]
		if !known || name == rest {
			u.parent = t
			u.path = strings.TrimSuffix(path, rest) + quoteUnseen(rest)
			u.meant, u.unseen = near(rest, fields), unseen(rest)
			return u
		}
		t, rest = field, rest[len(name):]
		for strings.HasPrefix(rest, "[") { // an item of a list
			_, after, _ := strings.Cut(rest, "]")
			t, rest = elementOf(t), after
			if t.Kind() == reflect.Slice {
				t = t.Elem()
			}
		}
		rest = strings.TrimPrefix(rest, ".")
	}
}

// elementOf returns the type that a pointer points to.
func elementOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldEnd returns the end of the first name in a path.
func fieldEnd(path string) int {
	if i := strings.IndexAny(path, ".["); i > 0 {
		return i
	}
	return len(path)
}

// near returns the field of fields that name is a misspelling of, if decisions depend on it; otherwise "".
func near(name string, fields map[string]reflect.Type) string {
	plain := strings.ToLower(strings.TrimFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }))
	best, distance := "", (len(plain)+2)/3+1
	for _, known := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(deciding(), known) {
			continue
		}
		if d := spelling.Distance(plain, strings.ToLower(known)); d < distance && d < len(known) {
			best, distance = known, d
		}
	}
	return best
}

// deciding returns the fields that decisions depend on, in any kind.
func deciding() []string {
	return []string{
		"spec", "status", "metadata", "name", "namespace", "labels", "ownerReferences", "controller",
		"deletionTimestamp",
		"template", "jobTemplate", "replicas", "parallelism", "completions", "completionMode", "ordinals", "start",
		"suspend",
		"hostNetwork", "nodeName", "containers", "initContainers", "restartPolicy", "ports", "containerPort",
		"protocol",
		"phase", "podIP", "podIPs", "hostIP", "hostIPs", "ip", "conditions", "addresses", "address",
		"selector", "matchLabels", "matchExpressions", "key", "operator", "values", "type",
		"clusterIP", "clusterIPs", "externalIPs", "loadBalancer", "ingress", "port", "targetPort",
		"publishNotReadyAddresses",
		"ipFamilies", "addressType", "endpoints", "ready", "serving", "terminating", "targetRef", "subsets",
		"notReadyAddresses",
		"podSelector", "policyTypes", "egress", "from", "to", "namespaceSelector", "ipBlock", "cidr", "except",
		"endPort",
	}
}

// unseen names the letters of a name that look like a space or are invisible; empty if there are none.
func unseen(name string) string {
	for _, r := range name {
		if r != ' ' && (unicode.IsSpace(r) || !unicode.IsPrint(r)) {
			what := "a character that cannot be seen"
			if r == '\u00a0' {
				what = "a no-break space"
			}
			return fmt.Sprintf("; its name has %s (%U) in it, as text copied from a page may: write a plain space",
				what, r)
		}
	}
	return ""
}

// quoteUnseen quotes a name that has invisible letters.
func quoteUnseen(name string) string {
	if unseen(name) == "" {
		return name
	}
	return strconv.QuoteToASCII(name)
}
