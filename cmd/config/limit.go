package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/proto/names"
	"github.com/netpold/netpold/server/forwardauth"
)

// A limited is the value of a flag that rejects more than its type does. A rejected value changes nothing.
type limited struct {
	pflag.Value
	// wrong returns what is wrong with a text of the right type, and what to give; "" if nothing.
	wrong func(text string) string
	// least and most are the limits of a whole number; nil for none.
	least, most *int64
}

// Set sets a value, or returns an error if it exceeds the limits.
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

// A limitError is the error of an invalid value of the right type.
type limitError struct {
	// wrong says what is wrong with the value, and what to give. Example: "is not above 0s: give a duration
	// such as 10s".
	wrong string
}

// Error returns what is wrong.
func (e *limitError) Error() string { return e.wrong }

func limit(f *pflag.FlagSet, name string, wrong func(text string) string) *limited {
	flag := f.Lookup(name)
	l := &limited{Value: flag.Value, wrong: wrong}
	flag.Value = l
	return l
}

// Positive makes duration flags reject values that are not above 0.
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

// notNegative makes duration flags reject values below 0.
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

// Between makes a flag of a whole number reject values below least or above most.
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

// wrongShare returns what is wrong with a share of all; "" if nothing.
func wrongShare(text string) string {
	if share, err := strconv.ParseFloat(text, 64); err != nil || !(share >= 0 && share <= 1) {
		return "is no share: give 0 to 1, for example 0.01"
	}
	return ""
}

// wrongListen returns what is wrong with the address of a listener, which may be a Unix socket; "" if nothing.
func wrongListen(text string) string {
	if strings.HasPrefix(text, "unix:") {
		if !strings.HasPrefix(text, "unix:///") || strings.HasSuffix(text, "/") {
			return "is no Unix socket to listen on: give unix:///PATH, for example unix:///run/netpold/grpc.sock"
		}
		return ""
	}
	return wrongPort(text)
}

// wrongPort returns what is wrong with HOST:PORT of a listener; "" if nothing.
func wrongPort(text string) string {
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

// wrongProxies returns what is wrong with the addresses of proxies; "" if nothing.
func wrongProxies(text string) string {
	if _, err := forwardauth.ParseProxies(text); err != nil {
		return "names no proxies: " + err.Error()
	}
	return ""
}

// orEmpty returns a check that accepts the empty text, and what wrong accepts.
func orEmpty(wrong func(string) string) func(string) string {
	return func(text string) string {
		if text == "" {
			return ""
		}
		return wrong(text)
	}
}

// wrongServer returns what is wrong with the target of a client; "" if nothing.
func wrongServer(text string) string {
	if err := netpold.CheckTarget(text); err != nil {
		return "names no server: " + err.Error()
	}
	return ""
}

// wrongNamespace returns what is wrong with the name of a namespace; "" if nothing.
func wrongNamespace(text string) string { return names.Namespace(text) }
