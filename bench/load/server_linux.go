package main

import (
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"
)

// endWithParent has the kernel end the command when this process dies without a chance to do so.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// mostResident returns the most memory that a process held, in bytes; 0 where that is not known.
func mostResident(ended *os.ProcessState) int64 {
	usage, ok := ended.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}

// forgetResident lowers the most memory that this process held to what it holds. Linux counts that as a child's, until the
// child runs its own program.
func forgetResident() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // else the figure is too high
}

// processTime returns how long this process has computed; 0 where that is not known.
func processTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
