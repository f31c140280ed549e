package manifests

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// renderFirst is the remedy for a template.
const renderFirst = `it looks like a template: render it first, as "helm template", "kubectl kustomize", "ytt -f" or "envsubst" do, ` +
	"and read what comes of it"

// placeholder matches what template engines replace: {{ .Values.x }}, {% x %}, <%= x %>, ${X} and $(X).
var placeholder = regexp.MustCompile(`\{\{|\{%|<%|\$\{[A-Za-z_]|\$\([A-Za-z_]`)

func hasPlaceholder(text string) bool { return placeholder.MatchString(text) }

// bareVariable matches $X. It counts in a refused value only, because other text may hold it for a shell.
var bareVariable = regexp.MustCompile(`\$[A-Za-z_]`)

// refusedValue matches a message about a value, up to the end of the value: `Invalid value: "x"`, `Invalid type: must be a
// number, not the text "x"`.
var refusedValue = regexp.MustCompile(`^[A-Z][a-z]+ (?:value|type): (?:[a-z ,]*)?("(?:[^"\\]|\\.)*")`)

// templateMessage returns the remedy for a template if a message refuses a placeholder, and otherwise the message.
func templateMessage(message string) string {
	match := refusedValue.FindStringSubmatch(message)
	if match != nil && (hasPlaceholder(match[1]) || bareVariable.MatchString(match[1])) {
		return match[0] + ": " + renderFirst
	}
	return message
}

// yttMark matches what ytt takes for its own: a comment that begins with #@. To YAML its value is missing, which often means
// "everything".
var yttMark = regexp.MustCompile(`(?m)(?:^|[ \t])#@(?:[ \t/]|[a-z]|$)`)

// unrendered reports a document of ytt's that plays a part.
func (r *reading) unrendered(at place, d document, raw []byte) {
	if !bytes.Contains(d.text, []byte("#@")) {
		return
	}
	mark := yttMark.FindIndex(d.text)
	if mark == nil {
		return
	}
	h := headOf(raw)
	if part := partOf(h); part == partNone || part == partUnknown {
		return
	}
	line := d.line + 1 + bytes.Count(d.text[:mark[1]], []byte("\n"))
	r.problem(at.of(h, r.namespace), "", fmt.Sprintf("line %d has %q: to YAML that is a comment, so that a value is missing; %s",
		line, strings.TrimSpace(string(d.text[mark[0]:mark[1]])), renderFirst))
}
