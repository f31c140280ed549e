package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/netpold/netpold/proto/names"
)

// A fileValue is the value of a key in the config file, as text for the flag.
type fileValue struct {
	// where is the location. Example: "netpold.yaml:3: max-batch".
	where string
	// texts is one value, or the paths of a list.
	texts []string
}

// readFile reads the config file. With an error it also returns the valid values.
func (c *Config) readFile() (map[string]fileValue, error) {
	data, err := c.open()
	if err != nil {
		return nil, err
	}
	root, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	values := map[string]fileValue{}
	if root == nil {
		return values, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: not a mapping: give lines of KEY: VALUE, such as listen: 127.0.0.1:9480",
			c.File, root.Line)
	}
	var errs []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		where := fmt.Sprintf("%s:%d: %s", c.File, key.Line, key.Value)
		flag := c.lookup(key.Value)
		_, twice := values[key.Value]
		switch {
		case flag == nil || flag.Name == ConfigFlag:
			errs = append(errs, fmt.Errorf("%s:%d: unknown key %q%s", c.File, key.Line, key.Value,
				didYouMean(key.Value, c.keys())))
		case twice:
			errs = append(errs, fmt.Errorf("%s is given twice: leave one out", where))
		default:
			texts, err := textsOf(flag, value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
				continue
			}
			values[key.Value] = fileValue{where: where, texts: texts}
		}
	}
	return values, errors.Join(errs...)
}

// parse returns the root of the only document; nil if there is none.
func parse(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, notYAML(err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, fmt.Errorf("line %d: a second document: give one", second.Line)
	case !errors.Is(err, io.EOF):
		return nil, notYAML(err)
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, nil
	}
	return root, nil
}

func notYAML(err error) error {
	return fmt.Errorf("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// textsOf returns a value as text, or an error if it is not of the flag's type. Several paths may be a list.
func textsOf(flag *pflag.Flag, node *yaml.Node) ([]string, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if _, several := flag.Value.(*Paths); !several || node.Kind != yaml.SequenceNode {
		text, err := scalar(flag, node)
		return []string{text}, err
	}
	var texts []string
	for _, item := range node.Content {
		text, err := scalar(flag, item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", len(texts)+1, err)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, errors.New("an empty list: give a path, or leave the key out")
	}
	return texts, nil
}

// scalar returns a value as text, or an error if it is not of the flag's type.
func scalar(flag *pflag.Flag, node *yaml.Node) (string, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.ScalarNode {
		return "", errors.New("a list or mapping: give one value")
	}
	tag := node.ShortTag()
	if tag == "!!null" {
		return "", errors.New("no value: give one, or leave the key out")
	}
	switch kind := flag.Value.Type(); kind {
	case "bool", "int", "uint32":
		want := "!!int"
		if kind == "bool" {
			want = "!!bool"
		}
		if tag != want {
			return "", fmt.Errorf("%q is %s", node.Value, wanted(flag))
		}
	case "string", "path":
		if tag != "!!str" {
			return "", fmt.Errorf("%s is not a string: put it in quotes", node.Value)
		}
	}
	return node.Value, nil
}

// keys yields the names that a config file may use.
func (c *Config) keys() func(yield func(string) bool) {
	known := map[string]bool{}
	c.all(func(flag *pflag.Flag) { known[flag.Name] = flag.Name != ConfigFlag })
	maps.DeleteFunc(known, func(_ string, ok bool) bool { return !ok })
	return maps.Keys(known)
}

func didYouMean(typed string, candidates func(yield func(string) bool)) string {
	if name := names.Nearest(typed, candidates); name != "" {
		return fmt.Sprintf(": did you mean %s?", name)
	}
	return "; the keys are the names of the flags of 'netpold serve --help' and 'netpold check --help'"
}
