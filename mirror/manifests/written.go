package manifests

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// written returns the scalar at a path of a YAML document as written; "" if there is none. YAML reads 00000,
// yes and 1.10 as 0, true and 1.1.
func written(text []byte, path string) string {
	var document yaml.Node
	if len(text) == 0 || yaml.Unmarshal(text, &document) != nil || len(document.Content) != 1 {
		return ""
	}
	if n := nodeAt(document.Content[0], path); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// nodeAt returns the node at a path below n, or nil. A key may have dots in it.
func nodeAt(n *yaml.Node, path string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	path = strings.TrimPrefix(path, ".")
	switch {
	case path == "":
		return n
	case n.Kind == yaml.SequenceNode:
		number, rest, _ := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= len(n.Content) {
			return nil
		}
		return nodeAt(n.Content[i], rest)
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			rest, ok := strings.CutPrefix(path, n.Content[i].Value)
			if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
				continue
			}
			if found := nodeAt(n.Content[i+1], rest); found != nil {
				return found
			}
		}
	}
	return nil
}
