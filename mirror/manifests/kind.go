package manifests

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/netpold/netpold/mirror/convert"
)

// A head holds the fields that identify an object.
type head struct {
	APIVersion text `json:"apiVersion"`
	Kind       text `json:"kind"`
	Metadata   struct {
		Namespace text `json:"namespace"`
		Name      text `json:"name"`
		// UID and ResourceVersion identify one state of one object of a cluster.
		UID             text `json:"uid"`
		ResourceVersion text `json:"resourceVersion"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
	// twice is the field of apiVersion, kind and items that is repeated; empty if none is.
	twice string
}

// isForeign reports whether a mapping has no field of a Kubernetes object.
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

// A text is a string. Any other value decodes as empty; decoding the whole object reports it.
type text string

// UnmarshalJSON implements [json.Unmarshaler]. It keeps only strings.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	}
	return nil
}

// headOf returns the head of raw, as far as it can be read.
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

// isHeadField reports whether a field determines what an object is, or what a list holds.
func isHeadField(name string) bool { return name == "apiVersion" || name == "kind" || name == "items" }

// A part is the role of an object in decisions.
type part uint8

const (
	// partNone means that decisions do not depend on the object.
	partNone part = iota
	partObject
	// partItems means that it is a list of objects.
	partItems
	// partUnversioned means that decisions depend on the kind, but that the API version is not read.
	partUnversioned
	// partMisspelled means that the kind is almost one that decisions depend on: see [spelled].
	partMisspelled
	// partUnknown means that Kubernetes has no such kind in a group with kinds that decisions depend on. It
	// may be a policy, so it must not be ignored.
	partUnknown
)

// versionOf returns the API version in which a kind is read; empty for kinds that decisions do not depend on.
func versionOf(name string) string {
	kind, ok := convert.KindNamed(name)
	if !ok {
		return ""
	}
	return kind.Versions[0].String()
}

// versionsOf returns all API versions in which a kind is read, for messages.
func versionsOf(name string) string {
	kind, ok := convert.KindNamed(name)
	if !ok {
		return ""
	}
	var versions []string
	for _, v := range kind.Versions {
		versions = append(versions, v.String())
	}
	return strings.Join(versions, " or ")
}

// isReadIn reports whether a kind is read in that API version.
func isReadIn(name, version string) bool {
	kind, ok := convert.KindNamed(name)
	if !ok {
		return false
	}
	_, ok = kind.Version(version)
	return ok
}

// partOf returns the part of an object, judging by its head.
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
		if known := others(version); known != nil && !slices.Contains(known, kind) &&
			!slices.Contains(known, item) {
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

// others returns the kinds that decisions do not depend on, in an API group with kinds that they depend on;
// nil for other groups. The core group's Config is a kubeconfig.
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
	case "batch", convert.ClusterPolicyGroup:
		return []string{}
	}
	return nil
}

// spelled returns the kind and API version that a head means but writes in another case, in the plural, or
// with spaces; empty for other heads. It skips groups of extensions, which may use any name.
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
	} else if item, isList := strings.CutSuffix(strings.TrimSuffix(written, "s"), "list"); isList &&
		singular(item) != "" {
		kind, version = singular(item)+"List", versionOf(singular(item))
	}
	if kind == string(h.Kind) && builtIn(group) {
		return "", ""
	}
	return kind, version
}

// singular returns the kind of a name in lower case, in the singular or the plural; empty if there is none.
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

// builtIn reports whether a group belongs to Kubernetes itself. Extensions have kinds of the same names.
func builtIn(group string) bool {
	return !strings.Contains(group, ".") || convert.HasGroup(group)
}

// ignoredAs returns the name under which an ignored object is counted: its kind, with the group if the kind
// alone would be ambiguous.
func ignoredAs(h head) string {
	if versionOf(string(h.Kind)) != "" {
		return string(h.Kind) + "." + groupOf(string(h.APIVersion))
	}
	return string(h.Kind)
}

// The kinds that play no part are told by name up to a number and a length. Each name is a label of a metric for good.
const (
	maxIgnored     = 100
	maxIgnoredName = 253
	// otherKinds stands for all others.
	otherKinds = "other"
)

// countIgnored counts objects of a kind that plays no part.
func (r *fileReader) countIgnored(kind string, n int) {
	if _, known := r.ignored[kind]; !known && (len(r.ignored) >= maxIgnored || len(kind) > maxIgnoredName) {
		kind = otherKinds
	}
	r.ignored[kind] += n
}
