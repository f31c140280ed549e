//go:build unix

package decisionlog

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lockEvery is how often a lock that another process has is tried again.
const lockEvery = time.Millisecond

// lock takes the lock of a file that other processes may append to as well, so that each line is whole. It waits as
// long as for the reader of a pipe. A file system without locks has none to take.
func lock(f *os.File, ended func() bool) error {
	for limit := time.Now().Add(stalled); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil
		case ended():
			return errInterrupted
		case time.Now().After(limit):
			return errLocked
		}
		time.Sleep(lockEvery)
	}
}

// unlock lets other processes append.
func unlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
