// Command netpold answers whether Kubernetes NetworkPolicies allow a connection: as a gRPC service, or once.
package main

import (
	"context"
	"os"

	"github.com/netpold/netpold/cmd/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
