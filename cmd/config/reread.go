package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// Reread returns the settings that a new start with the same flags would have. It reads environ, in the form
// of os.Environ, and the config file again. c must have been loaded, and does not change.
func (c *Config) Reread(environ []string) (*Config, error) {
	next := New()
	var failed error
	c.all(func(flag *pflag.Flag) {
		if !flag.Changed || failed != nil {
			return
		}
		to := next.lookup(flag.Name)
		texts := []string{flag.Value.String()}
		if paths, several := flag.Value.(*Paths); several {
			texts = paths.list()
		}
		if _, err := setValue(to, texts); err != nil {
			failed = fmt.Errorf("--%s: %w", flag.Name, err)
			return
		}
		to.Changed = true
	})
	if failed != nil {
		return nil, failed
	}
	if _, err := next.Load(environ); err != nil {
		return nil, err
	}
	return next, nil
}

// Differences returns the names of the settings whose values differ between c and other, in the order of the
// flags.
func (c *Config) Differences(other *Config) []string {
	var names []string
	c.all(func(flag *pflag.Flag) {
		if flag.Value.String() != other.lookup(flag.Name).Value.String() {
			names = append(names, flag.Name)
		}
	})
	return names
}
