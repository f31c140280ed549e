package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/netpold/netpold/mirror/manifests"
	"github.com/netpold/netpold/server"
)

func (inv *invocation) serveVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve --manifests PATH [flags]",
		Short: "Serve decisions over gRPC",
		Long: "serve answers questions over gRPC, and keeps up with the files that it reads: an edit is taken whole or, if it has problems,\n" +
			"not at all. On SIGTERM or SIGINT it drains; a second one ends it at once.",
		Example: "  netpold serve --manifests examples/shop\n" +
			"  netpold serve --config netpold.yaml --listen 0.0.0.0:9480",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	return inv.verb(cmd, inv.serve, inv.config.StateFlags(), inv.config.ServerFlags(), inv.config.FileFlags())
}

func (inv *invocation) serve(ctx context.Context, _ []string) error {
	if inv.config.State.Manifests == "" {
		return errors.New("nothing to serve: give --manifests PATH " +
			"(what 'kubectl get pods,namespaces,networkpolicies,nodes,services,endpointslices -A -o yaml' prints)")
	}
	log := newLogger(inv.stderr, inv.config.Log)
	// Standard input is kept for the examples: it can be read only once.
	var stdin bytes.Buffer
	files, err := inv.openManifests(ctx, io.TeeReader(inv.stdin, &stdin), log)
	if err != nil {
		return err
	}
	settings := inv.config.Server
	settings.Source, settings.Logger, settings.Version = newSource(files), log, readBuild().Version
	srv, err := server.New(settings)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	inv.announce(ctx, srv, &settings, &stdin)
	return serveUntilEnd(ctx, srv, files)
}

// untilSignal is a context that ends with ctx, or on SIGTERM or SIGINT. From its end on signals are no longer caught, as they
// were not before: another one ends the process at once.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	caught, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	until, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(caught, func() {
		release()
		end()
	})
	return until, release
}

// serveUntilEnd serves until ctx ends and calls are drained; the files are watched until then. The first part to fail ends both.
func serveUntilEnd(ctx context.Context, srv *server.Server, files *manifests.Source) error {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	var parts errgroup.Group
	parts.Go(func() error {
		defer stopWatching()
		return srv.Run(serving)
	})
	parts.Go(func() error {
		err := files.Run(watching)
		if err != nil {
			stopServing()
			return fmt.Errorf("watching the manifests: %w", err)
		}
		return nil
	})
	return parts.Wait()
}

// maxExamplePods is how large a cluster is read a second time for the sake of examples.
const maxExamplePods = 5000

// announce says to people where it listens and what to try; machines read the log.
func (inv *invocation) announce(ctx context.Context, srv *server.Server, settings *server.Config, stdin io.Reader) {
	if !textLogs(inv.stderr, inv.config.Log.Format) {
		return
	}
	a := announcement{
		version: settings.Version, source: settings.Source.Status().Source, addr: srv.Addr(), adminAddr: srv.AdminAddr(),
		checkout: inCheckout(),
	}
	state, ok := settings.Source.State()
	if ok && state.Snapshot.Counts().Pods <= maxExamplePods && settings.TLS == (server.TLSFiles{}) {
		// Files that have just been edited may have problems now: then there are no examples.
		if cluster, err := manifests.Read(ctx, inv.manifestOptions(stdin)); err == nil {
			a.allowed, a.denied = findExamples(ctx, cluster.Objects, server.NewDecisions(settings.Source, server.Limits{}))
		}
	}
	fmt.Fprint(inv.stderr, a.text())
}
