package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
)

// askManifests returns an asker that answers from manifests read once, in this process.
func (inv *invocation) askManifests(ctx context.Context) (asker, error) {
	files, err := inv.openManifests(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	inv.printProblems(files.Status().Problems)
	if ignored := files.Status().IgnoredKinds; len(ignored) > 0 {
		inv.notice("these kinds play no part: %s", kindsText(ignored))
	}
	inv.printStateNotes(files)
	return newLocal(files), nil
}

func (inv *invocation) manifestOptions() manifests.Options {
	s := &inv.config.State
	return manifests.Options{Paths: s.Manifests, Stdin: inv.stdin, Namespace: s.Namespace,
		IgnoreTiers: s.IgnoresTiers()}
}

// openManifests reads the manifests. It returns an error if they have any problem.
func (inv *invocation) openManifests(ctx context.Context, log *slog.Logger) (*manifests.Source, error) {
	files, err := manifests.NewSource(manifests.SourceOptions{
		Options: inv.manifestOptions(),
		Engine:  inv.config.State.Engine(),
		Meaning: inv.config.Meaning(),
		Logger:  log,
	})
	if err != nil {
		return nil, inv.manifestsError(err)
	}
	if err := files.Load(ctx); err != nil {
		return nil, inv.manifestsError(err)
	}
	return files, nil
}

// manifestsError prints every problem of the manifests, and returns the error that sums them up.
func (inv *invocation) manifestsError(err error) error {
	return inv.filesError("--manifests", inv.config.State.Manifests, err)
}

// filesError prints every problem of the files under the paths of a flag, and returns the error that sums them
// up.
func (inv *invocation) filesError(flag string, paths []string, err error) error {
	problems, ok := errors.AsType[*manifests.ProblemsError](err)
	if !ok {
		if wrong, ok := errors.AsType[*manifests.PathError](err); ok {
			return fmt.Errorf("%s %s: %w", flag, wrong.Path, wrong.Err)
		}
		return fmt.Errorf("%s %s: %w", flag, strings.Join(paths, ", "), err)
	}
	for _, problem := range mirror.FoldProblems(problems.Problems) {
		fmt.Fprintln(inv.stderr, &problem)
	}
	count := "1 problem"
	if n := len(problems.Problems); n > 1 {
		count = fmt.Sprintf("%d problems", n)
	}
	part := "a cluster"
	if flag != "--manifests" {
		part = "the changes"
	}
	return fmt.Errorf("%s %s: %s: mend what is listed above; nothing is answered from part of %s", flag,
		strings.Join(paths, ", "), count, part)
}
