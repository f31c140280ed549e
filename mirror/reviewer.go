package mirror

import "context"

// A Reviewer asks the API server who a caller is, and what it may do. It is safe for concurrent use.
//
// An error means that there is no answer. It never has the token in it.
type Reviewer interface {
	// ReviewToken returns whose a bearer token is.
	ReviewToken(ctx context.Context, token, audience string) (TokenReview, error)
	// ReviewAccess reports whether a user has a right.
	ReviewAccess(ctx context.Context, user *User, right Right) (bool, error)
}

// A TokenReview is an answer about a token.
type TokenReview struct {
	// Authenticated is set if the token is somebody's, and good.
	Authenticated bool
	User          User
	// Audiences are those of the audiences asked for that the token is meant for. An API server that does not know
	// audiences leaves them out.
	Audiences []string
}

// A User is a caller as the API server knows it.
type User struct {
	Name, UID string
	Groups    []string
	Extra     map[string][]string
}

// A Right is a verb on a resource that is not in a namespace.
type Right struct{ Group, Resource, Verb string }
