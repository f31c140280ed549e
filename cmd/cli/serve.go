package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/review"
	"github.com/netpold/netpold/server"
)

func (inv *invocation) serveVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Serve decisions over gRPC",
		Long: "serve answers questions over gRPC about a running cluster, and follows its changes. The cluster\n" +
			"is that of --kubeconfig and --context, else of KUBECONFIG or ~/.kube/config, else the one that it\n" +
			"runs in. It answers nothing before it has read the whole cluster.\n\n" +
			"With --manifests it follows files instead. An edit with problems is rejected as a whole. Several\n" +
			"--manifests are read as one.\n\n" +
			"On SIGTERM or SIGINT it drains; a second signal ends it immediately. On SIGHUP it reads settings, TLS\n" +
			"files and manifests again, and opens the file of the decision log again. SIGUSR1 lowers the log level\n" +
			"to debug for ten minutes.",
		Example: "  netpold serve --listen unix:///run/netpold/grpc.sock\n" +
			"  netpold serve --context staging --max-staleness 5m\n" +
			"  netpold serve --manifests examples/shop\n" +
			"  netpold serve --listen 0.0.0.0:9480 --tls-cert tls.crt --tls-key tls.key --tls-client-ca ca.crt\n" +
			"  netpold serve --config netpold.yaml --listen 0.0.0.0:9480 --insecure",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	inv.addAllNamespaces(cmd)
	return inv.verb(cmd, inv.serve, inv.config.StateFlags(), inv.config.ServerFlags(), inv.config.FileFlags())
}

func (inv *invocation) serve(ctx context.Context, _ []string) error {
	hups, debugs, giveBack := hangups()
	defer giveBack()
	level := newLogger(inv.stderr, inv.config.Log)
	log := level.log
	settings := inv.config.Server
	settings.Source = unopened{} // the source comes last, because reading it may take long
	reviewer, err := inv.openReviewer()
	if err != nil {
		return err
	}
	settings.Reviewer = reviewer
	if err := settings.Validate(); err != nil {
		return config.InFlags(err)
	}
	settings.Logger, settings.Version = log, readBuild().Version
	endTraces, err := inv.openTracing(ctx, &settings)
	if err != nil {
		return err
	}
	defer endTraces()
	from, err := inv.openSource(ctx, log)
	if err != nil {
		return err
	}
	settings.Source = from
	settings.Stdout = unremembered(inv.stdout)
	settings.Overlay = inv.overlayReader()
	srv, err := server.New(settings)
	if err != nil {
		return config.InFlags(err)
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	meaning := inv.config.Meaning()
	if text := meaningText(meaning.Like, meaning.Switches); text != "" {
		log.Info("decisions follow these switches", "like", meaning.Like, "switches",
			meaningText("", meaning.Switches))
	}
	inv.announce(ctx, srv, &settings)
	if _, ready := from.State(); !ready {
		log.Info("the cluster is being read; no question is answered before it is read whole", "source",
			from.Status().Source,
			"max_staleness", inv.config.State.MaxStaleness.String(), "when_stale", settings.WhenStale)
	}
	return serveUntilEnd(ctx, srv, from, func(ctx context.Context) {
		for {
			select {
			case <-hups:
				inv.reload(srv, from, level)
			case <-debugs:
				level.debug()
			case <-level.debugging:
				level.endDebug()
			case <-ctx.Done():
				return
			}
		}
	})
}

// openReviewer returns what asks an API server about callers; nil if none is to be asked.
func (inv *invocation) openReviewer() (mirror.Reviewer, error) {
	file := inv.config.KubeAuthzKubeconfig
	if !inv.config.Server.KubeAuthz {
		if file != "" {
			return nil, fmt.Errorf("--kube-authz-kubeconfig %s: it counts with --kube-authz alone: give both", file)
		}
		return nil, nil //nolint:nilnil // there is nobody to ask
	}
	reviewer, err := review.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--kube-authz-kubeconfig %q: %w: give a kubeconfig file of the cluster whose tokens "+
			"callers have, or run in it", file, err)
	}
	return reviewer, nil
}

// A followed is a source that follows what it mirrors.
type followed interface {
	mirror.Source
	// Run follows the state until ctx ends.
	Run(ctx context.Context) error
}

// An unopened stands for the source while the other settings are checked.
type unopened struct{ mirror.Source }

// openSource opens the source: manifests, which are read now, or a cluster.
func (inv *invocation) openSource(ctx context.Context, log *slog.Logger) (followed, error) {
	places := []place{fromManifests, fromCluster}
	switch from, err := inv.stateFrom(places...); {
	case err != nil:
		return nil, err
	case from == fromManifests:
		files, err := inv.openManifests(ctx, log)
		if err != nil {
			return nil, err
		}
		return files, nil
	default:
		cluster, err := inv.openCluster(places, log)
		if err != nil {
			return nil, err
		}
		return cluster, nil
	}
}

// untilSignal returns a context that ends with ctx, or on SIGTERM or SIGINT. After that signals are no longer
// caught: another one ends the process immediately.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	caught, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	until, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(caught, func() {
		release()
		end()
	})
	return until, release
}

// serveUntilEnd serves until ctx ends and calls are drained. It follows the state until then, runs meanwhile, and gives
// memory back. The first part to fail ends all.
func serveUntilEnd(ctx context.Context, srv *server.Server, from followed,
	meanwhile func(context.Context)) error {
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	var parts errgroup.Group
	parts.Go(func() error {
		meanwhile(following)
		return nil
	})
	parts.Go(func() error {
		returnMemory(following)
		return nil
	})
	parts.Go(func() error {
		defer stopFollowing()
		return srv.Run(serving)
	})
	parts.Go(func() error {
		err := from.Run(following)
		if err != nil {
			stopServing()
			return fmt.Errorf("following %s: %w", from.Status().Source, err)
		}
		return nil
	})
	return parts.Wait()
}

// maxExamplePods is the largest number of Pods of a cluster that is searched for examples.
const maxExamplePods = 5000

// announce prints for people where the server listens and what to try. Machines read the log.
func (inv *invocation) announce(ctx context.Context, srv *server.Server, settings *server.Config) {
	if !textLogs(inv.stderr, inv.config.Log.Format) {
		return
	}
	a := announcement{
		version: settings.Version, source: settings.Source.Status().Source, addr: srv.Addr(),
		adminAddr: srv.AdminAddr(), adminTLS: settings.AdminTLS,
		checkout: inCheckout(), secured: settings.TLS != (server.TLSFiles{}),
	}
	state, ok := settings.Source.State()
	a.unread = !ok
	if ok && state.Snapshot.Counts().Pods <= maxExamplePods && !a.secured {
		a.allowed, a.denied = findExamples(ctx, state.Snapshot, newLocal(settings.Source))
	}
	fmt.Fprint(inv.stderr, a.text())
}
