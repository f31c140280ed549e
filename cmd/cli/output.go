package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/cmd/config"
)

// The values of --output.
const (
	textOutput = "text"
	jsonOutput = "json"
	yamlOutput = "yaml"
)

// addOutput adds -o. It is no setting: a script that reads one form must not get another from its
// environment.
func addOutput(f *pflag.FlagSet, output *string) {
	f.VarP(config.NewChoice(output, textOutput, jsonOutput, yamlOutput), "output", "o", "form of the answer")
}

// jsonLine returns a message as protojson on one line. It includes fields that are false or 0, so that
// readers need not know that a missing "allowed" means denied. protojson varies its white space on purpose;
// jsonLine does not.
func jsonLine(m proto.Message) ([]byte, error) { return compactJSON(m, true) }

func compactJSON(m proto.Message, defaults bool) ([]byte, error) {
	raw, err := protojson.MarshalOptions{EmitDefaultValues: defaults}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return line.Bytes(), nil
}

// printJSON prints a message as protojson over several lines.
func printJSON(w io.Writer, m proto.Message) error {
	line, err := jsonLine(m)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, line, "", "  "); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	text.WriteByte('\n')
	return printText(w, text.String())
}

// printMessage prints a message in the form -o, which is not text.
func (inv *invocation) printMessage(m proto.Message, output string) error {
	if output == yamlOutput {
		line, err := jsonLine(m)
		if err != nil {
			return err
		}
		return printYAML(inv.stdout, line)
	}
	return printJSON(inv.stdout, m)
}

// printYAML prints JSON as YAML, with its fields in the same order.
func printYAML(w io.Writer, text []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	plain(&document)
	out := new(bytes.Buffer)
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	return printText(w, out.String())
}

// plain removes the brackets and quotes of JSON. The encoder writes those that are needed.
func plain(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		plain(child)
	}
}

// printText prints text. It returns an error if that fails: an exit code must not stand for an answer that
// nobody got.
func printText(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
