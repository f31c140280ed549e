//go:build !unix

package server

// openFileLimit returns how many files this process may have open, where that is known.
func openFileLimit() (n uint64, ok bool) { return 0, false }
