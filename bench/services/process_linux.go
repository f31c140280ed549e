package main

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the command when this process dies without a chance to do so.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
