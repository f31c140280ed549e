package config

import (
	"slices"
	"strings"

	"github.com/netpold/netpold/proto/names"
)

// A Choice is the value of a flag that takes one of a few words. Case does not matter.
type Choice struct {
	value *string
	// Words are the possible values.
	Words []string
}

// NewChoice returns a flag value that sets *value. The default is *value, or the first word if that is empty.
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
	near := ""
	if len(c.Words) > fewWords {
		near = names.Nearest(strings.ToLower(s), slices.Values(c.Words))
	}
	return &choiceError{c.Words, near}
}

// fewWords are read at a glance: which of them was meant is not guessed.
const fewWords = 5

// choiceError is a word that is none of those that may be chosen.
type choiceError struct {
	words []string
	// near is the word that was probably meant; "" for none.
	near string
}

// Error names the words that may be chosen.
func (e *choiceError) Error() string { return "not one of " + strings.Join(e.words, ", ") }
