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
	files, err := inv.readFiles(ctx, manifestsFlag, inv.config.State.Manifests)
	if err != nil {
		return nil, err
	}
	return newLocal(files), nil
}

// manifestsFlag is the name of the flag --manifests.
const manifestsFlag = "manifests"

// readFiles reads the files under the paths of a flag once, and prints what may be a mistake in them.
func (inv *invocation) readFiles(ctx context.Context, flag string, paths []string) (*manifests.Source, error) {
	files, err := inv.openFiles(ctx, slog.New(slog.DiscardHandler), flag, paths)
	if err != nil {
		return nil, err
	}
	inv.printProblems(files.Status().Problems)
	if ignored := files.Status().IgnoredKinds; len(ignored) > 0 {
		inv.notice("these kinds play no part: %s", kindsText(ignored))
	}
	inv.printStateNotes(files)
	return files, nil
}

func (inv *invocation) manifestOptions() manifests.Options {
	s := &inv.config.State
	return manifests.Options{Paths: s.Manifests, Stdin: inv.stdin, Namespace: s.Namespace,
		IgnoreTiers: s.IgnoresTiers(), MaxBytes: int64(s.MaxManifestBytes)}
}

// openManifests reads the manifests. It returns an error if they have any problem.
func (inv *invocation) openManifests(ctx context.Context, log *slog.Logger) (*manifests.Source, error) {
	return inv.openFiles(ctx, log, manifestsFlag, inv.config.State.Manifests)
}

// openFiles reads the files under the paths of a flag. It returns an error if they have any problem.
func (inv *invocation) openFiles(
	ctx context.Context, log *slog.Logger, flag string, paths []string,
) (*manifests.Source, error) {
	options := inv.manifestOptions()
	options.Paths = paths
	files, err := manifests.NewSource(manifests.SourceOptions{
		Options: options,
		Engine:  inv.config.State.Engine(),
		Meaning: inv.config.Meaning(),
		Logger:  log,
		Settle:  inv.config.State.ManifestsSettle,
	})
	if err != nil {
		return nil, inv.filesError("--"+flag, paths, err)
	}
	if err := files.Load(ctx); err != nil {
		return nil, inv.filesError("--"+flag, paths, err)
	}
	return files, nil
}

// filesError prints every problem of the files under the paths of a flag, and returns the error that sums them
// up.
func (inv *invocation) filesError(flag string, paths []string, err error) error {
	problems, ok := errors.AsType[*manifests.ProblemsError](err)
	if !ok {
		if wrong, ok := errors.AsType[*manifests.PathError](err); ok {
			inv.printProblems(wrong.Warnings)
			return fmt.Errorf("%s %s: %w", flag, wrong.Path, wrong.Err)
		}
		return fmt.Errorf("%s %s: %w", flag, strings.Join(paths, ", "), err)
	}
	first, more := mirror.FirstProblems(problems.Problems, maxPrintedProblems)
	for i := range first {
		fmt.Fprintln(inv.stderr, &first[i])
	}
	if more > 0 {
		fmt.Fprintf(inv.stderr, "%d more problems are not listed\n", more)
	}
	count := "1 problem"
	if n := len(problems.Problems); n > 1 {
		count = fmt.Sprintf("%d problems", n)
	}
	part := "a cluster"
	if flag == "--"+withFlag || flag == "--"+filenameFlag {
		part = "the changes"
	}
	return fmt.Errorf("%s %s: %s: mend what is listed above; nothing is answered from part of %s", flag,
		strings.Join(paths, ", "), count, part)
}
