//go:build !linux

package main

import (
	"os"
	"os/exec"
	"time"
)

// endWithParent does nothing: only Linux ends a command whose parent was killed.
func endWithParent(*exec.Cmd) {}

func mostResident(*os.ProcessState) int64 { return 0 }

func forgetResident() {}

func processTime() time.Duration { return 0 }
