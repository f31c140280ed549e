package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Words is the value of a flag that may be repeated: each adds one word.
type Words struct{ value *[]string }

// NewWords returns a flag value that adds to *value.
func NewWords(value *[]string) *Words { return &Words{value} }

// String returns the words, separated by spaces.
func (w *Words) String() string { return strings.Join(*w.value, " ") }

// Type returns what help shows for the value.
func (w *Words) Type() string { return "word" }

// Set adds a word.
func (w *Words) Set(word string) error {
	if word == "" {
		return &limitError{"is empty: give a word, or leave the flag out"}
	}
	*w.value = append(*w.value, word)
	return nil
}

// An Entry is a value of one of several flags that share a list.
type Entry struct {
	// Flag is the flag's name, and Text its value.
	Flag, Text string
}

// Entries is the value of a flag that may be repeated, and that shares a list with others: they add to it in the
// order of the command line.
type Entries struct {
	value      *[]Entry
	flag, kind string
}

// NewEntries returns a value for a flag that adds to *value. kind is what help shows for it.
func NewEntries(value *[]Entry, flag, kind string) *Entries { return &Entries{value, flag, kind} }

// String returns the values of this flag, separated by spaces.
func (e *Entries) String() string {
	var texts []string
	for _, entry := range *e.value {
		if entry.Flag == e.flag {
			texts = append(texts, entry.Text)
		}
	}
	return strings.Join(texts, " ")
}

// Type returns what help shows for the value.
func (e *Entries) Type() string { return e.kind }

// Set adds a value.
func (e *Entries) Set(text string) error {
	if text == "" {
		return &limitError{"is empty: give " + e.kind + ", or leave the flag out"}
	}
	*e.value = append(*e.value, Entry{e.flag, text})
	return nil
}

// Choices is the value of a flag that takes some of a few words, separated by commas, and may be repeated.
// Case does not matter.
type Choices struct {
	value *[]string
	// Words are the possible values.
	Words []string
}

// NewChoices returns a flag value that adds to *value.
func NewChoices(value *[]string, words ...string) *Choices { return &Choices{value, words} }

// String returns the chosen words.
func (c *Choices) String() string { return strings.Join(*c.value, ",") }

// Type returns what help shows for the value.
func (c *Choices) Type() string { return strings.Join(c.Words, ",") }

// Set chooses words.
func (c *Choices) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		if !slices.Contains(c.Words, word) {
			return &limitError{fmt.Sprintf("has %q, which is none of its values: give some of %s", word,
				strings.Join(c.Words, ","))}
		}
		if !slices.Contains(*c.value, word) {
			*c.value = append(*c.value, word)
		}
	}
	return nil
}

// A PortRange is a range of ports.
type PortRange struct{ First, Last uint32 }

// PortRanges is the value of a flag that may be repeated: each adds a port, or a range of ports.
type PortRanges struct{ value *[]PortRange }

// NewPortRanges returns a flag value that adds to *value.
func NewPortRanges(value *[]PortRange) *PortRanges { return &PortRanges{value} }

// String returns the ranges, separated by spaces.
func (p *PortRanges) String() string {
	var words []string
	for _, r := range *p.value {
		word := strconv.FormatUint(uint64(r.First), 10)
		if r.Last != r.First {
			word += "-" + strconv.FormatUint(uint64(r.Last), 10)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// Type returns what help shows for the value.
func (p *PortRanges) Type() string { return "port[-port]" }

// Set adds PORT or PORT-PORT.
func (p *PortRanges) Set(text string) error {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var r PortRange
	for _, end := range []struct {
		to   *uint32
		text string
	}{{&r.First, first}, {&r.Last, last}} {
		n, err := strconv.ParseUint(end.text, 10, 16)
		switch {
		case strings.Contains(text, "/"):
			return &limitError{"has a protocol: give PORT or PORT-PORT, and the protocol by --protocol"}
		case strings.Contains(text, ","):
			return &limitError{"has a comma: give the flag once for each port, or PORT-PORT"}
		case err != nil || n == 0:
			return &limitError{fmt.Sprintf("is neither a port nor a range of ports: %q is not a number from 1 to 65535; "+
				"give for example 443 or 8000-8080", end.text)}
		}
		*end.to = uint32(n)
	}
	if r.Last < r.First {
		return &limitError{fmt.Sprintf("ends before it begins: give %s-%s", last, first)}
	}
	*p.value = append(*p.value, r)
	return nil
}
