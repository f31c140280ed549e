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

// carried reports policies inside an object that plays no part. Somebody means them to be applied, and reading the object
// does not apply them.
func (r *reading) carried(at place, h head, raw []byte) {
	if h.Kind == "Template" && groupOf(string(h.APIVersion)) == "template.openshift.io" {
		r.openShiftTemplate(at, raw)
		return
	}
	r.unknownTemplate(at, raw)
	if !bytes.Contains(raw, []byte("NetworkPolicy")) || !bytes.Contains(raw, []byte("networking.k8s.io")) {
		return
	}
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return
	}
	walk("", value, func(path, what string) {
		r.warn(at, path, what+" a NetworkPolicy, which is not read from there: give the policy itself, as it is applied")
	})
}

// policyText and policyKind match the head of a NetworkPolicy in text, such as a ConfigMap's: in YAML or JSON, on lines of
// their own or between others.
var (
	policyText = regexp.MustCompile(`(?m)(?:^|[{,])[\s-]*["']?apiVersion["']?\s*:\s*["']?networking\.k8s\.io/v1["']?\s*(?:[,}#]|$)`)
	policyKind = regexp.MustCompile(`(?m)(?:^|[{,])[\s-]*["']?kind["']?\s*:\s*["']?NetworkPolicy["']?\s*(?:[,}#]|$)`)
)

// lastApplied is where kubectl keeps a copy of the object itself.
const lastApplied = "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration"

// walk yields the places of policies in a value, and whether each is or holds one. Repeated places in one list are yielded.
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

// openShiftTemplate reports a Template whose objects would play a part: its parameters are not filled in.
func (r *reading) openShiftTemplate(at place, raw []byte) {
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
	r.problem(at, "objects", fmt.Sprintf("holds %s, which are not read before the template is processed: run "+
		"'oc process -f %s | netpold ... --manifests -'", strings.Join(kinds, ", "), at.file))
}
