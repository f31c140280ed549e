package config

import (
	"errors"
	"strings"
	"unicode"

	"github.com/netpold/netpold/server"
)

// InFlags returns err with the flag in place of each invalid field of a [server.Config]. Example:
// "--max-batch 0: give 1 or more".
func InFlags(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, one := range joined.Unwrap() {
			errs = append(errs, InFlags(one))
		}
		return errors.Join(errs...)
	}
	if wrong, ok := errors.AsType[*server.FieldError](err); ok {
		return errors.New(wrong.Text(func(field string) string { return "--" + flagOf(field) }))
	}
	return err
}

// flagOf returns the flag of a field of [server.Config]. Example: "tls-client-ca" for "TLS.ClientCA".
func flagOf(field string) string {
	var b strings.Builder
	lower := false
	for i, c := range field {
		next := i+1 < len(field) && unicode.IsLower(rune(field[i+1]))
		switch {
		case c == '.':
			b.WriteByte('-')
		// The last capital before a small letter begins a word, as in IPHeader.
		case unicode.IsUpper(c) && (lower || i > 0 && field[i-1] != '.' && next):
			b.WriteString("-" + string(unicode.ToLower(c)))
		default:
			b.WriteRune(unicode.ToLower(c))
		}
		lower = unicode.IsLower(c)
	}
	return b.String()
}
