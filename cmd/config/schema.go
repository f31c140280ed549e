package config

import "github.com/spf13/pflag"

// durations is the pattern of what time.ParseDuration accepts, without a sign.
const durations = `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`

// exact is the largest whole number that every JSON parser keeps exactly.
const exact = 1<<53 - 1

// JSONSchema returns the JSON Schema of the values of a setting, for tools that write settings for netpold.
func JSONSchema(flag *pflag.Flag) map[string]any {
	value := flag.Value
	bounds := map[string]any{}
	if l, ok := value.(*limited); ok {
		value = l.Value
		if l.least != nil {
			bounds["minimum"] = *l.least
		}
		if l.most != nil && *l.most <= exact {
			bounds["maximum"] = *l.most
		}
	}
	if choice, ok := value.(*Choice); ok {
		return map[string]any{"enum": choice.Words}
	}
	switch value.Type() {
	case "bool":
		return map[string]any{"type": "boolean"}
	case "duration":
		return map[string]any{"type": "string", "pattern": durations}
	case "int", "int32", "int64", "uint32", "uint64":
		bounds["type"] = "integer"
		return bounds
	case "float64":
		return map[string]any{"type": "number", "minimum": 0, "maximum": 1} // the only such setting is a share
	default:
		return map[string]any{"type": "string"}
	}
}
