package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
)

// The values of --output.
const (
	textOutput = "text"
	jsonOutput = "json"
)

// addOutput adds -o, which is no setting: a script that reads one form must not get another from its surroundings.
func addOutput(f *pflag.FlagSet, output *string) {
	f.VarP(config.NewChoice(output, textOutput, jsonOutput), "output", "o", "form of the answer")
}

// jsonLine is a message as protojson on one line. Fields that are false or 0 are there: nobody has to know that an absent
// "allowed" denies. protojson varies its white space from build to build on purpose; this does not.
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

// printText prints, and fails when that fails: an exit code must not vouch for an answer that nobody got.
func printText(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
