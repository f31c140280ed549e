//go:build linux

package network

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Threads is a number of operating system threads that do work inside namespaces. Sockets and programs that
// a thread makes belong to the namespace in which the thread is. It is safe for concurrent use.
type Threads struct{ tasks chan task }

// A task is work to do inside a namespace.
type task struct {
	in   *os.File
	work func()
	done chan error
}

// NewThreads starts n threads. Close ends them.
func NewThreads(n int) *Threads {
	t := &Threads{tasks: make(chan task)}
	for range n {
		go t.run()
	}
	return t
}

// run does tasks until Close. The goroutine keeps its thread, which ends with it, because no other goroutine
// may run in the namespace that the thread is left in.
func (t *Threads) run() {
	runtime.LockOSThread()
	for k := range t.tasks {
		if err := unix.Setns(int(k.in.Fd()), unix.CLONE_NEWNET); err != nil {
			k.done <- fmt.Errorf("entering a network namespace: %w", err)
			continue
		}
		k.work()
		k.done <- nil
	}
}

// Close ends the threads. Nothing may be asked of them later.
func (t *Threads) Close() { close(t.tasks) }

// do does work inside a namespace, and returns when it is done.
func (t *Threads) do(in *os.File, work func()) error {
	k := task{in, work, make(chan error, 1)}
	t.tasks <- k
	return <-k.done
}
