package assertion

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads the form for machines. Every key is one that is known, once.
func parseYAML(text []byte) (list []Assertion, wrong []*Error) {
	var document yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := decoder.Decode(&document); err != nil {
		return nil, []*Error{notYAML(err)}
	}
	var second yaml.Node
	if decoder.Decode(&second) == nil {
		return nil, []*Error{{second.Line, errors.New("a second document: put all assertions into one list")}}
	}
	root := document.Content[0]
	fields, wrong := fieldsOf(root, "assertions")
	items := fields["assertions"]
	switch {
	case len(wrong) > 0:
		return nil, wrong
	case items == nil || items.Kind != yaml.SequenceNode:
		err := errors.New("assertions: must be a list of {src, dst, ports, allowed, by}")
		return nil, []*Error{{root.Line, err}}
	}
	for _, item := range items.Content {
		a, errs := parseItem(item)
		if len(errs) > 0 {
			wrong = append(wrong, errs...)
			continue
		}
		a.Line = item.Line
		list = append(list, a)
	}
	return list, wrong
}

// notYAML returns the parser's error. Its line may be one too low, so it is not the place of the error.
func notYAML(err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "line ") {
		text = "near " + text
	}
	return &Error{Err: fmt.Errorf("is not YAML: %s: write %s", text, yamlForm)}
}

// yamlForm ends the errors of a document that is no list of assertions.
const yamlForm = "{assertions: [{src: shop/a, dst: shop/b, ports: [80/TCP], allowed: true}]}"

// fieldsOf returns the values of a mapping by key.
func fieldsOf(node *yaml.Node, known ...string) (map[string]*yaml.Node, []*Error) {
	if node.Kind != yaml.MappingNode {
		err := fmt.Errorf("must be a mapping with the keys %s", strings.Join(known, ", "))
		return nil, []*Error{{node.Line, err}}
	}
	fields := map[string]*yaml.Node{}
	var wrong []*Error
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		isKnown := false
		for _, name := range known {
			isKnown = isKnown || key.Value == name
		}
		switch {
		case !isKnown:
			err := fmt.Errorf("unknown key %q: write %s", clipped(key.Value), strings.Join(known, ", "))
			wrong = append(wrong, &Error{key.Line, err})
		case fields[key.Value] != nil:
			err := fmt.Errorf("key %q is given twice: leave one out", clipped(key.Value))
			wrong = append(wrong, &Error{key.Line, err})
		}
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		fields[key.Value] = value
	}
	return fields, wrong
}

// parseItem reads one assertion.
func parseItem(item *yaml.Node) (Assertion, []*Error) {
	fields, wrong := fieldsOf(item, "src", "dst", "ports", "allowed", "by")
	if len(wrong) > 0 {
		return Assertion{}, wrong
	}
	refuse := func(at *yaml.Node, format string, args ...any) {
		line := item.Line
		if at != nil {
			line = at.Line
		}
		wrong = append(wrong, &Error{line, fmt.Errorf(format, args...)})
	}
	text := func(name string) string {
		switch node := fields[name]; {
		case node == nil:
			refuse(nil, "%s is missing: write %s", name, yamlForm)
		case node.Kind != yaml.ScalarNode || node.Tag == "!!null":
			refuse(node, "%s: must be text", name)
		default:
			return node.Value
		}
		return ""
	}
	src, dst, ports, allowed := text("src"), text("dst"), portsText(fields["ports"], refuse), text("allowed")
	if len(wrong) > 0 {
		return Assertion{}, wrong
	}
	a, err := assemble(src, dst, ports)
	if err != nil {
		refuse(nil, "%w", oneLine(err))
	}
	switch allowed {
	case "true":
		a.Allowed = true
	case "false":
	default:
		refuse(fields["allowed"], "allowed: %q: write true or false", clipped(allowed))
	}
	if fields["by"] != nil {
		if a.By, err = parsePolicy(text("by")); err != nil && len(wrong) == 0 {
			refuse(fields["by"], "by: %w", err)
		}
		if a.Allowed {
			refuse(fields["by"], "by: goes with allowed: false alone: leave it out, or claim that")
		}
	}
	return a, wrong
}

// portsText returns ports as a line has them. One port need not be a list.
func portsText(node *yaml.Node, refuse func(*yaml.Node, string, ...any)) string {
	if node == nil {
		refuse(nil, "ports is missing: write %s", yamlForm)
		return ""
	}
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	var words []string
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			refuse(item, "ports: must be ports, as 7070 or 53/UDP")
		}
		words = append(words, item.Value)
	}
	if len(words) == 0 {
		refuse(node, "ports: has none: give one or more, as [7070, 8080]")
	}
	return strings.Join(words, ",")
}
