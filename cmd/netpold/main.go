// Command netpold answers whether Kubernetes NetworkPolicies allow a connection: as a gRPC service, or once.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/netpold/netpold/cmd/cli"
)

func main() {
	// Nobody receives it: when a reader of the output or of the log is gone, the write fails, and the process lives
	// on to say so by its exit code. Programs that it runs are not affected, as they would be by signal.Ignore.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	program := "netpold"
	if len(os.Args) > 0 {
		program = os.Args[0]
	}
	args := os.Args[min(len(os.Args), 1):]
	os.Exit(cli.RunAs(context.Background(), program, args, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
