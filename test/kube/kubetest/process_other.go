//go:build !linux

package kubetest

import "syscall"

// endsWithParent leaves the program in the test's process group: the terminal's signals reach it too.
func endsWithParent() *syscall.SysProcAttr { return nil }
