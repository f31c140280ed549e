package kubetest

import "syscall"

// endsWithParent makes the kernel kill the program when the test's process is gone, killed by a timeout for example. A group of
// its own keeps it from the terminal's signals, so that the test ends it in order.
func endsWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
