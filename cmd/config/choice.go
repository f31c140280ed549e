package config

import (
	"fmt"
	"strings"
)

// A Choice is the value of a flag that takes one of a few words. Case does not matter.
type Choice struct {
	value *string
	// Words are what may be chosen.
	Words []string
}

// NewChoice returns a flag value that sets *value. The default is what *value holds, or the first word.
func NewChoice(value *string, words ...string) *Choice {
	if *value == "" {
		*value = words[0]
	}
	return &Choice{value: value, Words: words}
}

// String returns the chosen word.
func (c *Choice) String() string { return *c.value }

// Type returns what help shows for the value.
func (c *Choice) Type() string { return strings.Join(c.Words, "|") }

// Set chooses a word.
func (c *Choice) Set(s string) error {
	for _, word := range c.Words {
		if strings.EqualFold(s, word) {
			*c.value = word
			return nil
		}
	}
	return fmt.Errorf("not one of %s", strings.Join(c.Words, ", "))
}
