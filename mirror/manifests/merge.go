package manifests

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// maxMerged bounds the keys that merges write out: a few lines of them can be made to stand for billions.
const maxMerged = 100_000

// merged returns a document with its merge keys written out: <<: *defaults. A key that is written wins over one that is
// merged (https://yaml.org/type/merge.html), which the strict parser would take for a repetition. Text without merges, and
// text that is no YAML, is returned as it is.
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

// merger writes merges out, below each node once.
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

// flatten replaces the merges of one mapping by the keys that they bring. Of several mappings the earlier one wins.
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
				return // the parser says what is wrong
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
