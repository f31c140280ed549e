//go:build !unix

package decisionlog

import "os"

// lock does nothing: here each server needs a file of its own.
func lock(*os.File, func() bool) error { return nil }

// unlock undoes lock.
func unlock(*os.File) {}
