package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/live"
)

// openCluster returns the mirror of a running cluster, not read yet. places are the alternatives, for errors.
func (inv *invocation) openCluster(places []place, log *slog.Logger) (*live.Source, error) {
	s := &inv.config.State
	connection, err := live.Connect(s.Kubeconfig, s.Context)
	if err != nil {
		return nil, inv.noCluster(places, err)
	}
	return live.New(live.Config{
		REST: connection, Namespace: s.Namespace, MaxStaleness: s.MaxStaleness, Logger: log, IgnoreTiers: s.IgnoresTiers(),
		Engine: s.Engine(), Meaning: inv.config.Meaning(),
	})
}

// noCluster returns what to do if no way to a cluster is found.
func (inv *invocation) noCluster(places []place, err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		err = cause // without the settings, which the text names
	}
	s := &inv.config.State
	var set []string
	if s.Kubeconfig != "" {
		set = append(set, "--kubeconfig "+s.Kubeconfig)
	}
	if s.Context != "" {
		set = append(set, "--context "+s.Context)
	}
	if len(set) > 0 {
		return fmt.Errorf("%s: %w: give a kubeconfig file and one of its contexts, as 'kubectl config "+
			"get-contexts' lists them",
			strings.Join(set, ", "), err)
	}
	const nothingSet = "no configuration has been provided"
	if strings.Contains(err.Error(), nothingSet) { // the error says no more than that
		return errors.New("nowhere to take the cluster's state from: " + choicesText(places...))
	}
	return fmt.Errorf("nowhere to take the cluster's state from: %w; mend that, or %s", err,
		choicesText(places...))
}

// askCluster returns an asker that answers from a cluster read once, in this process.
func (inv *invocation) askCluster(ctx context.Context, places []place) (asker, func(), error) {
	cluster, closeCluster, err := inv.readCluster(ctx, places)
	if err != nil {
		return nil, nil, err
	}
	inv.printProblems(cluster.Status().Problems)
	inv.printStateNotes(cluster)
	return newLocal(cluster), closeCluster, nil
}

// readCluster reads a whole cluster, and follows it until the returned function is called.
func (inv *invocation) readCluster(ctx context.Context, places []place) (*live.Source, func(), error) {
	cluster, err := inv.openCluster(places, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	inv.notice("reading %s", cluster.Status().Source)
	ctx, cancel := context.WithCancel(ctx)
	var following errgroup.Group
	following.Go(func() error { return cluster.Run(ctx) })
	closeCluster := func() {
		cancel()
		_ = following.Wait() // the only error would be that the mirror ran before
	}
	if err := untilSynced(ctx, cluster, inv.config.Client.Timeout); err != nil {
		status := cluster.Status()
		closeCluster()
		return nil, nil, errors.Join(err, inv.withoutRights(&status))
	}
	return cluster, closeCluster, nil
}

// withoutRights returns what to do with rights in one namespace, if the cluster forbids a resource; otherwise
// nil.
func (inv *invocation) withoutRights(status *mirror.Status) error {
	if !slices.ContainsFunc(status.Resources, func(r mirror.Resource) bool { return r.Forbidden }) {
		return nil
	}
	s := &inv.config.State
	namespace := cmp.Or(s.Namespace, live.ContextNamespace(s.Kubeconfig, s.Context), "NAMESPACE")
	where := ""
	if s.Kubeconfig != "" {
		where += " --kubeconfig " + s.Kubeconfig
	}
	if s.Context != "" {
		where += " --context " + s.Context
	}
	pipe := fmt.Sprintf("kubectl%s get -n %s pods,networkpolicies,services,endpointslices -o yaml | netpold "+
		"check --manifests - ...",
		where, namespace)
	if s.Namespace != "" && slices.ContainsFunc(status.Resources, func(r mirror.Resource) bool { return r.ListForbidden }) {
		return fmt.Errorf("without these rights, ask whoever has them for what this prints: %s", pipe)
	}
	if s.Namespace != "" {
		return fmt.Errorf("with the right to read but not to watch: %s", pipe)
	}
	return fmt.Errorf("with rights in one namespace: netpold check%s -n %s ..., or %s", where, namespace, pipe)
}

// refusalGrace is how long reading continues after the API server refuses a resource, so that all refused
// ones are listed at once.
const refusalGrace = time.Second

// untilSynced blocks until the whole cluster is read, however long that takes. It gives up if a resource
// fails for as long as patience, and soon if the API server refuses the caller (401, 403).
func untilSynced(ctx context.Context, cluster *live.Source, patience time.Duration) error {
	look := time.NewTicker(min(100*time.Millisecond, max(patience, time.Millisecond)))
	defer look.Stop()
	var failing time.Time
	for {
		select {
		case <-cluster.Ready():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s: stopped before it was read whole: %w", cluster.Status().Source, context.Cause(ctx))
		case now := <-look.C:
			status := cluster.Status()
			err := unread(&status)
			switch {
			case err == nil:
				failing = time.Time{}
			case refusedAll(&status):
				return err
			case failing.IsZero():
				failing = now
			case now.Sub(failing) >= patience, refusedAny(&status) && now.Sub(failing) >= refusalGrace:
				return err
			}
		}
	}
}

// refusedAny reports whether the API server refuses the caller a resource that is not read yet.
func refusedAny(status *mirror.Status) bool {
	return slices.ContainsFunc(status.Resources, func(r mirror.Resource) bool {
		return !r.Synced && r.Unauthorized
	})
}

// refusedAll reports whether every resource is read or refused, so that nothing more will come.
func refusedAll(status *mirror.Status) bool {
	return !slices.ContainsFunc(status.Resources, func(r mirror.Resource) bool {
		return !r.Synced && !r.Unauthorized
	})
}

// unread returns the errors of resources that are not read, joined; nil if there are none. Refused credentials are
// one error: they are refused for every resource.
func unread(status *mirror.Status) error {
	var errs []error
	if slices.ContainsFunc(status.Resources, func(r mirror.Resource) bool {
		return !r.Synced && r.Unauthorized && !r.Forbidden
	}) {
		return fmt.Errorf("%s: %s", status.Source, live.CredentialsRefused)
	}
	for _, r := range status.Resources {
		if !r.Synced && r.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", status.Source, r.Error))
		}
	}
	return errors.Join(errs...)
}
