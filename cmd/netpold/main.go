// Command netpold answers whether Kubernetes NetworkPolicies allow a connection: as a gRPC service, or once.
package main

import (
	"context"
	"os"

	"github.com/netpold/netpold/cmd/cli"
)

func main() {
	program := "netpold"
	if len(os.Args) > 0 {
		program = os.Args[0]
	}
	args := os.Args[min(len(os.Args), 1):]
	os.Exit(cli.RunAs(context.Background(), program, args, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
