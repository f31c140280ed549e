package manifests

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// renderFirst is the remedy for a template.
const renderFirst = `it looks like a template: render it first, as "helm template", "kubectl kustomize", ` +
	`"ytt -f" or "envsubst" do, and read the result`

// placeholder matches what template engines replace: {{ .Values.x }}, {% x %}, <%= x %>, ${X} and $(X).
var placeholder = regexp.MustCompile(`\{\{|\{%|<%|\$\{[A-Za-z_]|\$\([A-Za-z_]`)

func hasPlaceholder(text string) bool { return placeholder.MatchString(text) }

// bareVariable matches $X. It counts only in an invalid value, because other text may have it for a shell.
var bareVariable = regexp.MustCompile(`\$[A-Za-z_]`)

// invalidValue matches a message about a value, up to the end of the value: `Invalid value: "x"`, `Invalid
// type: must be a number, not the text "x"`.
var invalidValue = regexp.MustCompile(`^[A-Z][a-z]+ (?:value|type): (?:[a-z ,]*)?("(?:[^"\\]|\\.)*")`)

// templateMessage returns the remedy for a template if message is about a placeholder, and otherwise message.
func templateMessage(message string) string {
	match := invalidValue.FindStringSubmatch(message)
	if match != nil && (hasPlaceholder(match[1]) || bareVariable.MatchString(match[1])) {
		return match[0] + ": " + renderFirst
	}
	return message
}

// yttMark matches an instruction of ytt: a comment that begins with #@. To YAML the value is missing, which
// often means "everything".
var yttMark = regexp.MustCompile(`(?m)(?:^|[ \t])#@(?:[ \t/]|[a-z]|$)`)

// reportUnrendered reports a document of ytt that decisions depend on.
func (r *fileReader) reportUnrendered(at location, d document, raw []byte) {
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
	r.problem(at.locate(h, r.namespace), "",
		fmt.Sprintf("line %d has %q: to YAML that is a comment, so that a value is missing; %s",
			line, strings.TrimSpace(string(d.text[mark[0]:mark[1]])), renderFirst))
}
