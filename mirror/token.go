package mirror

import (
	"errors"
	"strings"
)

// The errors of [Source.Wait].
var (
	// ErrTokenMalformed means that no source ever returned this token.
	ErrTokenMalformed = errors.New("malformed token")
	// ErrTokenUnknown means that the token names a state of another source. Waiting for that would never end.
	ErrTokenUnknown = errors.New("unknown token")
)

// A LagError names the resources that had not reached a token when the context of [Source.Wait] ended.
type LagError struct {
	// Resources are plural and in lower case. Example: "networkpolicies".
	Resources []string
	// Cause is the context's error.
	Cause error
}

// Error returns the resources and the cause in words.
func (e *LagError) Error() string {
	return "the state of " + strings.Join(e.Resources, ", ") + " is older than the token: " + e.Cause.Error()
}

// Unwrap returns the context's error.
func (e *LagError) Unwrap() error { return e.Cause }
