//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyDebug sends each SIGUSR1 to c.
func notifyDebug(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }
