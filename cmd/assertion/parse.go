package assertion

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// form ends the errors of a line that is no assertion.
const form = "write SRC -> DST PORT[/PROTOCOL] = allowed, or = denied, or = denied by NAMESPACE/POLICY"

// Error is what is wrong in one place of a file.
type Error struct {
	// Line counts from 1; 0 if the place is not known.
	Line int
	Err  error
}

// Error returns what is wrong, after the line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Parse reads the assertions of a file. Lines are assertions, empty, or comments, which begin with # at the
// beginning of a line or after a space. A file whose first words are "assertions:", or that begins with { or
// ---, is a YAML document instead:
//
//	assertions:
//	- {src: deploy/shop/frontend, dst: svc/shop/cart, ports: [7070/TCP], allowed: true}
//	- {src: any, dst: deploy/shop/redis, ports: [6379], allowed: false, by: shop/default-deny}
//
// It returns all that is wrong, in order of line, or all assertions; at least one of either.
func Parse(text []byte) ([]Assertion, []*Error) {
	if !utf8.Valid(text) {
		return nil, []*Error{{Err: errors.New("is not text in UTF-8: is it compressed, or of another kind?")}}
	}
	if at := manifest.FindIndex(text); at != nil {
		line := 1 + bytes.Count(text[:at[1]], []byte("\n"))
		return nil, []*Error{{line, errors.New(
			"holds objects of Kubernetes and no assertions: give it with --manifests, " +
				"and here a file of lines such as deploy/shop/web -> svc/shop/cart 80 = allowed")}}
	}
	var list []Assertion
	var wrong []*Error
	if isYAML(string(text)) {
		list, wrong = parseYAML(text)
	} else {
		list, wrong = parseLines(string(text))
		if len(wrong) > 1 && !bytes.Contains(text, []byte("->")) {
			wrong = []*Error{{Err: errors.New("has no assertion: none of its lines has a ->: " + form)}}
		}
	}
	switch {
	case len(wrong) > 0:
		return nil, wrong
	case len(list) == 0:
		return nil, []*Error{{Err: errors.New("has no assertion: " + form)}}
	}
	return list, nil
}

// manifest matches the beginning of a line that an object of Kubernetes has, in YAML or JSON, and an
// assertion has not.
var manifest = regexp.MustCompile(`(?m)^[ \t{\[,-]*"?(apiVersion|kind)"?[ \t]*:`)

// isYAML reports whether the first line that says something is YAML's.
func isYAML(text string) bool {
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			return strings.HasPrefix(line, "assertions:") || line[0] == '{' || strings.HasPrefix(line, "---")
		}
	}
	return false
}

func parseLines(text string) (list []Assertion, wrong []*Error) {
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		number++
		line = withoutComment(line)
		if line == "" {
			continue
		}
		a, err := parseLine(line)
		if err != nil {
			wrong = append(wrong, &Error{number, fmt.Errorf("%q: %w", clipped(line), err)})
			continue
		}
		a.Line = number
		list = append(list, a)
	}
	return list, wrong
}

// withoutComment returns a line without its comment and the spaces around. A # inside a word begins none:
// label words have ports after one.
func withoutComment(line string) string {
	before := ' '
	for i, r := range line {
		if r == '#' && unicode.IsSpace(before) {
			line = line[:i]
			break
		}
		before = r
	}
	return strings.TrimSpace(line)
}

// maxQuoted bounds, in bytes, how much of a wrong line is said back.
const maxQuoted = 200

func clipped(line string) string {
	if len(line) <= maxQuoted {
		return line
	}
	return strings.ToValidUTF8(line[:maxQuoted], "") + "..."
}

// parseLine reads one assertion.
func parseLine(line string) (Assertion, error) {
	words := strings.Fields(line)
	at := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	equals := -1
	for i, word := range words {
		if word == "=" {
			equals = i
			break
		}
	}
	switch {
	case at(1) != "->" && strings.Contains(line, "->"):
		src, rest, _ := strings.Cut(line, "->")
		return Assertion{}, fmt.Errorf("no spaces around the -> after the source: write %q",
			clipped(strings.TrimSpace(src)+" -> "+strings.TrimSpace(rest)))
	case at(1) != "->":
		return Assertion{}, errors.New("no -> after the source: " + form)
	case equals < 0:
		return Assertion{}, errors.New("no = with spaces around it: " + form)
	case equals < 3:
		return Assertion{}, errors.New("the destination is missing: " + form)
	case equals == 3:
		return Assertion{}, errors.New("the port is missing: " + form)
	}
	a, err := assemble(words[0], words[2], strings.Join(words[3:equals], ""))
	claim := words[equals+1:]
	switch {
	case len(claim) == 1 && claim[0] == "allowed":
		a.Allowed = true
	case len(claim) == 1 && claim[0] == "denied":
	case len(claim) == 3 && claim[0] == "denied" && claim[1] == "by":
		var wrong error
		a.By, wrong = parsePolicy(claim[2])
		err = errors.Join(err, wrong)
	default:
		err = errors.Join(err, fmt.Errorf("%q is no claim: "+
			"write allowed, denied or denied by NAMESPACE/POLICY", clipped(strings.Join(claim, " "))))
	}
	return a, oneLine(err)
}

// assemble reads the ends and the ports.
func assemble(src, dst, ports string) (Assertion, error) {
	var a Assertion
	var srcErr, dstErr, portErr error
	a.Src, srcErr = parseEnd(src)
	a.Dst, dstErr = parseEnd(dst)
	a.Ports, portErr = parsePorts(ports)
	if src == Any && dst == Any {
		dstErr = errors.New("any -> any asks nothing of the cluster: name one end")
	}
	return a, errors.Join(srcErr, dstErr, portErr)
}

// oneLine joins the lines of an error.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
