package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// A once is the value of a flag that takes one value. On the command line a second, different value is an
// error: otherwise the last one would win silently.
type once struct {
	pflag.Value
	// given means that the command line has set it, to the text first.
	given bool
	first string
}

// Set sets the value from the command line.
func (o *once) Set(text string) error {
	before := o.String()
	if err := o.Value.Set(text); err != nil {
		return err
	}
	if o.given && o.String() != before {
		return &limitError{fmt.Sprintf("is a second value beside %q: give one", o.first)}
	}
	if !o.given {
		o.given, o.first = true, text
	}
	return nil
}

// RefuseRepeats makes every flag that takes one value reject a second one on the command line.
func RefuseRepeats(f *pflag.FlagSet) {
	f.VisitAll(func(flag *pflag.Flag) {
		switch flag.Value.(type) {
		case *Paths, *Words, *Choices, *PortRanges, *Entries, *once, pflag.SliceValue:
		default:
			flag.Value = &once{Value: flag.Value}
		}
	})
}

// ValueOf returns the value of a flag without the wrappers that reject some texts.
func ValueOf(flag *pflag.Flag) pflag.Value {
	value := flag.Value
	for {
		switch outer := value.(type) {
		case *once:
			value = outer.Value
		case *limited:
			value = outer.Value
		default:
			return value
		}
	}
}

// settable returns the value of a flag for the environment and the file, which may set a flag that the
// command line has set.
func settable(flag *pflag.Flag) pflag.Value {
	if o, ok := flag.Value.(*once); ok {
		return o.Value
	}
	return flag.Value
}
