package manifests

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/netpold/netpold/mirror/convert"
)

// A head has the fields that say which object it is.
type head struct {
	APIVersion text `json:"apiVersion"`
	Kind       text `json:"kind"`
	Metadata   struct {
		Namespace text `json:"namespace"`
		Name      text `json:"name"`
		// UID and ResourceVersion name one state of one object of a cluster.
		UID             text `json:"uid"`
		ResourceVersion text `json:"resourceVersion"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
	// twice is a repeated field among apiVersion, kind and items; empty if there is none.
	twice string
}

// isForeign reports whether a mapping has nothing of a Kubernetes object.
func (h *head) isForeign(raw []byte) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return false
	}
	for _, name := range []string{"apiVersion", "kind", "metadata", "spec", "items"} {
		if _, has := fields[name]; has {
			return false
		}
	}
	return true
}

// text is a string, and empty for any other value. Decoding the whole object reports that value.
type text string

// UnmarshalJSON takes strings and nothing else.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	}
	return nil
}

// headOf reads as much of the head as there is.
func headOf(raw []byte) head {
	var h head
	twice, _ := kjson.UnmarshalStrict(raw, &h, kjson.DisallowDuplicateFields) // parts of another type stay empty
	for _, err := range twice {
		if f, ok := errors.AsType[kjson.FieldError](err); ok && isHeadField(f.FieldPath()) {
			h.twice = f.FieldPath()
		}
	}
	return h
}

// isHeadField reports whether a field decides what an object is, or what a list holds.
func isHeadField(name string) bool { return name == "apiVersion" || name == "kind" || name == "items" }

// part is what an object is for decisions.
type part uint8

const (
	// partNone plays no part.
	partNone part = iota
	partObject
	// partItems is a list of objects.
	partItems
	// partUnversioned plays a part, and is of an API version that is not read.
	partUnversioned
	// partMisspelled is written almost as what plays a part: see [spelled].
	partMisspelled
	// partUnknown is of a kind that Kubernetes does not have in a group that holds what plays a part: perhaps a policy that
	// nobody would hear of.
	partUnknown
)

// versionOf returns the API version in which a kind is read; empty for kinds that play no part.
func versionOf(name string) string {
	kind, ok := convert.KindNamed(name)
	if !ok {
		return ""
	}
	return kind.Versions[0].String()
}

// isReadIn reports whether a kind that plays a part is read in that API version.
func isReadIn(name, version string) bool {
	kind, ok := convert.KindNamed(name)
	if !ok {
		return false
	}
	_, ok = kind.Version(version)
	return ok
}

// partOf returns the part that an object plays, by its head.
func partOf(h head) part {
	kind, version := string(h.Kind), string(h.APIVersion)
	item, isList := strings.CutSuffix(kind, "List")
	if kind == "List" {
		return partItems
	}
	read := kind
	if isList && versionOf(item) != "" {
		read = item
	}
	if misspelled, _ := spelled(h); misspelled != "" {
		return partMisspelled
	}
	switch {
	case versionOf(read) == "":
		if isList && h.Items != nil {
			return partItems
		}
		if known := others(version); known != nil && !slices.Contains(known, kind) && !slices.Contains(known, item) {
			return partUnknown
		}
		return partNone
	case isReadIn(read, version) && isList:
		return partItems
	case isReadIn(read, version):
		return partObject
	case builtIn(groupOf(version)):
		return partUnversioned
	}
	return partNone
}

// others are the kinds of an API group that play no part, for the groups of those that do; nil for other groups. The core
// group's Config is a kubeconfig.
func others(version string) []string {
	switch groupOf(version) {
	case "":
		if version == "v1" {
			return []string{
				"Binding", "ComponentStatus", "Config", "ConfigMap", "Event", "LimitRange", "PersistentVolume",
				"PersistentVolumeClaim", "PodTemplate", "ResourceQuota", "Secret", "ServiceAccount", "Status",
			}
		}
	case "networking.k8s.io":
		return []string{"IPAddress", "Ingress", "IngressClass", "ServiceCIDR"}
	case "discovery.k8s.io":
		return []string{}
	case "apps":
		return []string{"ControllerRevision"}
	case "batch":
		return []string{}
	}
	return nil
}

// spelled returns the kind and API version of what plays a part, for a head that has it in another case, in the plural, or
// with spaces around it; empty for other heads. Extensions may name their kinds as they like.
func spelled(h head) (kind, version string) {
	group := groupOf(string(h.APIVersion))
	if !builtIn(strings.ToLower(strings.TrimSpace(group))) {
		return "", ""
	}
	written := strings.ToLower(strings.TrimSpace(string(h.Kind)))
	if written == "list" || written == "lists" {
		kind, version = "List", "v1"
	} else if kind = singular(written); kind != "" {
		version = versionOf(kind)
	} else if item, isList := strings.CutSuffix(strings.TrimSuffix(written, "s"), "list"); isList && singular(item) != "" {
		kind, version = singular(item)+"List", versionOf(singular(item))
	}
	if kind == string(h.Kind) && builtIn(group) {
		return "", ""
	}
	return kind, version
}

// singular returns the kind for a name in lower case, in the singular or the plural; empty if there is none.
func singular(written string) string {
	for _, kind := range slices.Concat(convert.Kinds(), convert.WorkloadKinds()) {
		lower := strings.ToLower(kind.Name)
		if rest, ok := strings.CutPrefix(written, strings.TrimSuffix(lower, "y")); ok {
			if written == lower || rest == "s" || rest == "ys" || rest == "ies" {
				return kind.Name
			}
		}
	}
	return ""
}

func groupOf(version string) string {
	group, _, found := strings.Cut(version, "/")
	if !found {
		return ""
	}
	return group
}

// builtIn reports whether a group is Kubernetes' own. Extensions have kinds of the same names.
func builtIn(group string) bool {
	return !strings.Contains(group, ".") || convert.HasGroup(group)
}

// ignoredAs returns the name under which an object that plays no part is counted: its kind, with the group where the kind alone
// would be taken for another.
func ignoredAs(h head) string {
	if versionOf(string(h.Kind)) != "" {
		return string(h.Kind) + "." + groupOf(string(h.APIVersion))
	}
	return string(h.Kind)
}
