// Package current gives each call the state that it answers from: the present one, or one that is not older
// than a token. It refuses calls before the first full sync (S26), while the state is stale if so configured,
// and at the drain.
package current
