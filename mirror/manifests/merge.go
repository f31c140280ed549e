package manifests

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// maxMerged limits the keys that merges add: a few lines can stand for billions.
const maxMerged = 100_000

// merged returns a document with its merge keys (<<: *defaults) written out. An explicit key overrides a
// merged one (https://yaml.org/type/merge.html), but the strict parser would take it for a repetition. Text
// without merges, and text that is no YAML, is returned unchanged.
func merged(text []byte) []byte {
	if !bytes.Contains(text, []byte("<<")) {
		return text
	}
	var document yaml.Node
	if yaml.Unmarshal(text, &document) != nil {
		return text
	}
	m := merger{done: map[*yaml.Node]bool{}}
	m.resolve(&document)
	if m.keys == 0 || m.keys > maxMerged {
		return text
	}
	out, err := yaml.Marshal(&document)
	if err != nil {
		return text
	}
	return out
}

// A merger writes merges out, once for each node.
type merger struct {
	done map[*yaml.Node]bool
	keys int
}

func (m *merger) resolve(node *yaml.Node) {
	if m.done[node] {
		return
	}
	m.done[node] = true
	if node.Kind == yaml.AliasNode {
		m.resolve(node.Alias)
		return
	}
	for _, child := range node.Content {
		m.resolve(child)
	}
	if node.Kind == yaml.MappingNode {
		m.flatten(node)
	}
}

// flatten replaces the merges of one mapping by their keys. Of several mappings the earlier one wins.
func (m *merger) flatten(node *yaml.Node) {
	var content []*yaml.Node
	var sources []*yaml.Node
	written := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag != "!!merge" {
			written[key.Value] = true
			content = append(content, key, value)
			continue
		}
		m.keys++
		for _, source := range sourcesOf(value) {
			if source.Kind != yaml.MappingNode {
				return // the parser reports it
			}
			sources = append(sources, source)
		}
	}
	for _, source := range sources {
		for i := 0; i+1 < len(source.Content) && m.keys <= maxMerged; i += 2 {
			if key := source.Content[i]; !written[key.Value] {
				written[key.Value] = true
				content = append(content, key, source.Content[i+1])
				m.keys++
			}
		}
	}
	node.Content = content
}

// sourcesOf returns the mappings of a merge: one, or a list.
func sourcesOf(value *yaml.Node) []*yaml.Node {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	if value.Kind != yaml.SequenceNode {
		return []*yaml.Node{value}
	}
	var list []*yaml.Node
	for _, item := range value.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		list = append(list, item)
	}
	return list
}
