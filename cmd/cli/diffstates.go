package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A simulator says what differs between two states.
type simulator interface {
	simulate(ctx context.Context, request *netpoldv1.SimulateRequest,
		take func(*netpoldv1.SimulateResponse) error) error
}

// A stateComparer compares two states that were read apart.
type stateComparer struct {
	localAuditor
	after *engine.Snapshot
}

func (c stateComparer) simulate(ctx context.Context, request *netpoldv1.SimulateRequest,
	take func(*netpoldv1.SimulateResponse) error) error {
	return streamed(ctx, take, func(s *localStream[netpoldv1.SimulateResponse]) error {
		return c.service.Compare(request, c.after, s)
	})
}

// compareStates reads the states of --from and --to.
func (d *diffVerb) compareStates(ctx context.Context) (simulator, error) {
	if err := d.statesAlone(); err != nil {
		return nil, err
	}
	before, err := d.inv.readFiles(ctx, fromFlag, d.from)
	if err != nil {
		return nil, err
	}
	after, err := d.inv.readFiles(ctx, toFlag, d.to)
	if err != nil {
		return nil, err
	}
	state, _ := after.State()
	return stateComparer{d.inv.newLocalAuditor(before), state.Snapshot}, nil
}

// statesAlone returns an error if flags name a third state, or changes to one. What the environment and the
// config file set is meant for other calls.
func (d *diffVerb) statesAlone() error {
	var errs []error
	if len(d.from) == 0 || len(d.to) == 0 {
		given, missing := fromFlag, toFlag
		if len(d.from) == 0 {
			given, missing = toFlag, fromFlag
		}
		return usageError(d.cmd, "--%s without --%s: give both, or the changes to one state by -f, --delete or --label",
			given, missing)
	}
	for _, flag := range []string{
		manifestsFlag, "server", "kubeconfig", "context", filenameFlag, "prune", deleteFlag, labelFlag,
	} {
		if d.cmd.Flags().Changed(flag) {
			errs = append(errs, usageError(d.cmd, "--%s does not go with --%s and --%s, which are the two states: leave "+
				"one or the others out", flag, fromFlag, toFlag))
		}
	}
	if slices.Contains(d.from, "-") && slices.Contains(d.to, "-") {
		errs = append(errs, usageError(d.cmd, "--%s - and --%s - exclude each other: standard input can be read once",
			fromFlag, toFlag))
	}
	errs = append(errs, d.inv.misplaced(fromManifests, config.FromFlag, fromFlag))
	return errors.Join(errs...)
}
