package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/proto/names"
)

// limited is a flag's value that refuses more than its type does. What it refuses leaves it as it was.
type limited struct {
	pflag.Value
	// wrong says of a text that its type takes what is wrong with it, and what to give; "" for nothing.
	wrong func(text string) string
	// least and most are the bounds of a whole number; nil for none.
	least, most *int64
}

// Set takes a value within the limits.
func (l *limited) Set(text string) error {
	before := l.String()
	if err := l.Value.Set(text); err != nil {
		return err
	}
	if wrong := l.wrong(text); wrong != "" {
		return errors.Join(&limitError{wrong}, l.Value.Set(before))
	}
	return nil
}

// limitError is a value of the right type that makes no sense.
type limitError struct {
	// wrong says what is wrong with it, and what to give: "is not above 0s: give a duration such as 10s".
	wrong string
}

// Error is what is wrong.
func (e *limitError) Error() string { return e.wrong }

func limit(f *pflag.FlagSet, name string, wrong func(text string) string) *limited {
	flag := f.Lookup(name)
	l := &limited{Value: flag.Value, wrong: wrong}
	flag.Value = l
	return l
}

// Positive makes durations refuse what is not above 0.
func Positive(f *pflag.FlagSet, flags ...string) {
	for _, name := range flags {
		example := f.Lookup(name).DefValue
		limit(f, name, func(text string) string {
			if d, err := time.ParseDuration(text); err != nil || d <= 0 {
				return "is not above 0s: give a duration such as " + example
			}
			return ""
		})
	}
}

// notNegative makes durations refuse what is below 0.
func notNegative(f *pflag.FlagSet, flags ...string) {
	for _, name := range flags {
		limit(f, name, func(text string) string {
			if d, err := time.ParseDuration(text); err != nil || d < 0 {
				return "is below 0s: give 0s or more"
			}
			return ""
		})
	}
}

// Between makes a whole number refuse what is outside of least and most.
func Between(f *pflag.FlagSet, name string, least, most int64) {
	l := limit(f, name, func(text string) string {
		if n, err := strconv.ParseInt(text, 0, 64); err == nil && least <= n && n <= most {
			return ""
		}
		if most == math.MaxInt64 {
			return fmt.Sprintf("is out of range: give %d or more", least)
		}
		return fmt.Sprintf("is out of range: give %d to %d", least, most)
	})
	l.least, l.most = &least, &most
}

// wrongListen looks at the address of a listener.
func wrongListen(text string) string {
	const remedy = ": give HOST:PORT, for example 127.0.0.1:9480; port 0 takes a free one"
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		if cause, ok := errors.AsType[*net.AddrError](err); ok {
			return "is not an address to listen on: " + cause.Err + remedy
		}
		return "is not an address to listen on" + remedy
	}
	if n, err := strconv.Atoi(port); port == "" || err == nil && (n < 0 || n > math.MaxUint16) {
		return fmt.Sprintf("is not an address to listen on: %q is no port%s", port, remedy)
	}
	return ""
}

// orEmpty also takes what is empty.
func orEmpty(wrong func(string) string) func(string) string {
	return func(text string) string {
		if text == "" {
			return ""
		}
		return wrong(text)
	}
}

// wrongServer looks at the target of a client.
func wrongServer(text string) string {
	if err := netpold.CheckTarget(text); err != nil {
		return "names no server: " + err.Error()
	}
	return ""
}

// wrongNamespace looks at the namespace of objects without one.
func wrongNamespace(text string) string { return names.Namespace(text) }
