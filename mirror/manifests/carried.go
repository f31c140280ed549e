package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reportCarried warns of policies inside an object that decisions do not depend on. They are meant to be
// applied, but reading the object does not apply them.
func (r *fileReader) reportCarried(at location, h head, raw []byte) {
	if h.Kind == "Template" && groupOf(string(h.APIVersion)) == "template.openshift.io" {
		r.reportOpenShiftTemplate(at, raw)
		return
	}
	r.reportUnknownTemplate(at, raw)
	if !bytes.Contains(raw, []byte("NetworkPolicy")) || !bytes.Contains(raw, []byte("networking.k8s.io")) {
		return
	}
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return
	}
	walk("", value, func(path, what string) {
		r.warn(at, path, what+" a NetworkPolicy, which is not read from there: give the policy itself, as it "+
			"is applied")
	})
}

// policyText and policyKind match the head of a NetworkPolicy in text, such as a ConfigMap's: in YAML or
// JSON, on separate lines or among others.
var (
	policyText = regexp.MustCompile(
		`(?m)(?:^|[{,])[\s-]*["']?apiVersion["']?\s*:\s*["']?networking\.k8s\.io/v1["']?\s*(?:[,}#]|$)`)
	policyKind = regexp.MustCompile(
		`(?m)(?:^|[{,])[\s-]*["']?kind["']?\s*:\s*["']?NetworkPolicy["']?\s*(?:[,}#]|$)`)
)

// lastApplied is the path at which kubectl keeps a copy of the object itself.
const lastApplied = "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration"

// walk calls yield for each policy in a value, with its path and what it is. It yields every item of a list.
func walk(path string, value any, yield func(path, what string)) {
	switch v := value.(type) {
	case map[string]any:
		if v["kind"] == "NetworkPolicy" && v["apiVersion"] == "networking.k8s.io/v1" && path != "" {
			yield(path, "is")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			walk(strings.TrimPrefix(path+"."+key, "."), v[key], yield)
		}
	case []any:
		for i, item := range v {
			walk(path+"["+strconv.Itoa(i)+"]", item, yield)
		}
	case string:
		if !strings.HasSuffix(path, lastApplied) && policyText.MatchString(v) && policyKind.MatchString(v) {
			yield(path, "holds the text of")
		}
	}
}

// reportOpenShiftTemplate reports a Template whose objects decisions would depend on: its parameters are not
// filled in.
func (r *fileReader) reportOpenShiftTemplate(at location, raw []byte) {
	var template struct {
		Objects []json.RawMessage `json:"objects"`
	}
	if json.Unmarshal(raw, &template) != nil {
		return
	}
	counts := map[string]int{}
	for _, object := range template.Objects {
		if h := headOf(object); partOf(h) != partNone {
			counts[string(h.Kind)]++
		}
	}
	if len(counts) == 0 {
		return
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	r.problem(at, "objects", fmt.Sprintf("holds %s, not read before the template is processed: run "+
		"'oc process -f %s | netpold ... --manifests -'", strings.Join(kinds, ", "), at.file))
}
