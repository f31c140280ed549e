package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/proto/names"
)

const envPrefix = "NETPOLD_"

// serviceLink matches variables that Kubernetes sets in each container for a Service whose name begins with
// "netpold". No setting has such a name.
var serviceLink = regexp.MustCompile(
	`^NETPOLD(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// Load sets what no flag has set, from environ, in the form of os.Environ, and from the config file. Parse
// the flags first. The error joins all errors: each names the variable, or the file and key, the value and
// the remedy. The warnings name NETPOLD_* variables that are no setting.
func (c *Config) Load(environ []string) (warnings []string, err error) {
	env := make(map[string]string)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, envPrefix) && !serviceLink.MatchString(name) {
			env[name] = value
		}
	}
	if path, ok := env[EnvName(ConfigFlag)]; ok && c.Origin(ConfigFlag) != FromFlag {
		c.File = path
		c.origins[ConfigFlag] = FromEnv
	}
	var errs []error
	file := map[string]fileValue{}
	if c.File != "" {
		file, err = c.readFile()
		errs = append(errs, err)
	}
	known := make(map[string]bool)
	c.all(func(flag *pflag.Flag) {
		variable := EnvName(flag.Name)
		known[variable] = true
		if flag.Name == ConfigFlag {
			return
		}
		// A flag that is set stays. But the value that it overrides must be valid too: it counts on the next
		// run.
		own := flag.Changed
		if value, ok := file[flag.Name]; ok {
			errs = append(errs, c.set(flag, FromFile, value.where, value.texts, own))
		}
		if value, ok := env[variable]; ok {
			texts := []string{value}
			if _, several := flag.Value.(*Paths); several {
				texts = splitPaths(value)
			}
			errs = append(errs, c.set(flag, FromEnv, variable, texts, own))
		}
	})
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !known[name] {
			warning := name + " is ignored, for it is no setting"
			if near := names.Nearest(strings.TrimPrefix(name, envPrefix), withoutPrefix(known)); near != "" {
				warning += ": did you mean " + envPrefix + near + "?"
			}
			warnings = append(warnings, warning)
		}
	}
	errs = append(errs, c.applyLike(), c.checkLocalAboveTiers())
	return warnings, errors.Join(errs...)
}

// withoutPrefix yields the names of variables without their common prefix, which would make any two of them
// look alike.
func withoutPrefix(variables map[string]bool) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range variables {
			if !yield(strings.TrimPrefix(name, envPrefix)) {
				return
			}
		}
	}
}

// set sets a flag to one value, or to several paths. If hidden, it only checks them.
func (c *Config) set(flag *pflag.Flag, origin Origin, where string, texts []string, hidden bool) error {
	undo, err := setValue(flag, texts)
	if err != nil {
		value := texts[0]
		if _, several := flag.Value.(*Paths); several {
			value = "" // the one path that is rejected
		}
		return fmt.Errorf("%s: %q %s", where, value, Refusal(flag, err))
	}
	if hidden {
		return undo()
	}
	c.origins[flag.Name] = origin
	return nil
}

// setValue sets a flag, and returns a function that undoes it.
func setValue(flag *pflag.Flag, texts []string) (undo func() error, err error) {
	if paths, ok := flag.Value.(*Paths); ok {
		before := paths.list()
		return func() error { return paths.replace(before) }, paths.replace(texts)
	}
	value := settable(flag)
	before := value.String()
	return func() error { return value.Set(before) }, value.Set(texts[0])
}

// Refusal returns what is wrong with a value that a flag rejects, and what to give. It follows the value
// itself in messages. err is the error of the flag's Set.
func Refusal(flag *pflag.Flag, err error) string {
	if outside, ok := errors.AsType[*limitError](err); ok {
		return outside.wrong
	}
	if unknown, ok := errors.AsType[*choiceError](err); ok && unknown.near != "" {
		return "is " + wanted(flag) + ": did you mean " + unknown.near + "?"
	}
	return "is " + wanted(flag)
}

// wanted returns the message for a value of another type: what it is not, and what to give.
func wanted(flag *pflag.Flag) string {
	switch value := ValueOf(flag).(type) {
	case *Choice:
		return "none of its values: give " + orList(value.Words)
	case *Port:
		return "not a port: give a number, 1 to 65535"
	}
	switch flag.Value.Type() {
	case "bool":
		return "not a truth value: give true or false"
	case "duration":
		return "not a duration: give a number with a unit, such as 500ms, 30s or 5m"
	case "int":
		return "not a whole number: give one, such as " + flag.DefValue
	case "float64":
		return "not a number: give one, such as " + flag.DefValue
	case "uint32":
		return "not a whole number from 0 to 4294967295: give one"
	default:
		return "not a " + flag.Value.Type()
	}
}

func orList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// open returns the content of the config file, or an error with the remedy.
func (c *Config) open() ([]byte, error) {
	data, err := os.ReadFile(c.File)
	if err == nil {
		return data, nil
	}
	where := "--" + ConfigFlag
	if c.Origin(ConfigFlag) == FromEnv {
		where = EnvName(ConfigFlag)
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause // without the path, which the caller adds
	}
	return nil, fmt.Errorf("%s %s: %w; give a YAML file that can be read", where, c.File, err)
}
