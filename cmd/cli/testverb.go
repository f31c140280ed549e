package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/netpold/netpold/cmd/assertion"
	"github.com/netpold/netpold/cmd/config"
)

// The forms of results other than text and JSON.
const (
	junitOutput  = "junit"
	githubOutput = "github"
)

// errFailed is the result of test, not a failure of the command. It is printed already.
var errFailed = errors.New("an assertion does not hold")

// A testVerb is one run of the verb test.
type testVerb struct {
	inv     *invocation
	cmd     *cobra.Command
	output  string
	verbose bool
	// generates is --generate, limit is --limit.
	generates bool
	limit     int
	// printed is set once results were printed.
	printed bool
}

func (inv *invocation) testVerb() *cobra.Command {
	v := &testVerb{inv: inv}
	v.cmd = &cobra.Command{
		Use: "test {FILE... | --generate} " +
			"[--manifests PATH | --server HOST:PORT | --kubeconfig FILE] [flags]",
		Short: "Test that policies allow and deny what assertions claim",
		Long: "test asks what assertions claim, and fails when one does not hold: " +
			"policies tested as code is.\n\n" +
			"An assertion is a line, in the words of 'netpold check':\n" +
			"  deploy/shop/frontend -> svc/shop/cart 7070/TCP = allowed\n" +
			"  deploy/shop/frontend -> shop/redis-0 6379 = denied by shop/default-deny  # a comment\n" +
			"  any -> deploy/shop/cart 80,443,8080 = denied\n\n" +
			"A port without a protocol is TCP. With several ports all must be as claimed. \"any\" is every\n" +
			"address outside the cluster, as source or destination: all of them must be as claimed. \"denied\n" +
			"by\" holds when the named policy isolates the side that denies. Files of YAML have the same as\n" +
			"{assertions: [{src, dst, ports, allowed, by}]}.\n\n" +
			"With --generate it prints the assertions that hold today: workload to workload and Service, from\n" +
			"and to any.\n\n" +
			"Exit code: 0 all hold; 1 one does not; 2 error, or one that has no answer.",
		Example: "  netpold test policies.txt --manifests deploy/\n" +
			"  netpold test --generate --manifests deploy/ > policies.txt\n" +
			"  kubectl kustomize overlays/prod |\n" +
			"    netpold test policies.txt --manifests - -o junit > results.xml",
		Args: cobra.ArbitraryArgs,
	}
	f := v.cmd.Flags()
	f.VarP(config.NewChoice(&v.output, textOutput, jsonOutput, junitOutput, githubOutput), "output", "o",
		"form of the results; github is for annotations of a workflow")
	f.BoolVarP(&v.verbose, "verbose", "v", false, "print the assertions that hold, too")
	f.BoolVar(&v.generates, "generate", false, "print the assertions that hold today")
	f.IntVar(&v.limit, "limit", defaultLimit, "with --generate, print at most `N` assertions and notes")
	config.Between(f, "limit", 1, maxLimit)
	inv.addAllNamespaces(v.cmd)
	inv.addQuiet(v.cmd)
	inv.errorResults[v.cmd.Name()] = v.printError
	return inv.verb(v.cmd, v.run, inv.config.StateFlags(), inv.config.ClientFlags(), inv.config.FileFlags())
}

func (v *testVerb) usage(files []string) error {
	given := v.cmd.Flags().Changed
	switch {
	case v.generates && len(files) > 0:
		return usageError(v.cmd, "--generate takes no file: it prints assertions; redirect them into %s",
			files[0])
	case v.generates && (given("output") || v.verbose):
		return usageError(v.cmd, "--generate prints assertions: leave -o and -v out")
	case v.verbose && v.output != textOutput:
		return usageError(v.cmd, "-v goes with the text that people read: leave it out with -o %s", v.output)
	case !v.generates && given("limit"):
		return usageError(v.cmd, "--limit goes with --generate")
	case !v.generates && len(files) == 0:
		return usageError(v.cmd, "no file of assertions: "+
			"give one or more, - for standard input, or --generate")
	case slices.Contains(files, "-") && slices.Contains(v.inv.config.State.Manifests, "-"):
		return usageError(v.cmd, "--manifests - and the file - exclude each other: "+
			"standard input can be read once")
	}
	return nil
}

func (v *testVerb) run(ctx context.Context, files []string) error {
	if err := v.usage(files); err != nil {
		return err
	}
	if v.generates {
		return v.generate(ctx)
	}
	read, unread, err := v.read(files)
	if err != nil {
		return v.broken(err, unread)
	}
	results, err := v.ask(ctx, read)
	if err != nil {
		return v.broken(err, unanswered(read, err.Error()))
	}
	if err := v.print(results); err != nil {
		return err
	}
	switch summary := summarise(results); {
	case summary.Errors > 0:
		return errors.New("not every assertion has an answer: the results say which, and why")
	case summary.Failed > 0:
		return errFailed
	}
	return nil
}

// ask opens an asker, and asks all questions.
func (v *testVerb) ask(ctx context.Context, files []assertionFile) ([]result, error) {
	asker, closeAsker, err := v.inv.openAsker(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAsker()
	v.inv.printServerNotes(ctx)
	results, err := newTestRun(v.inv, asker).results(ctx, files)
	if err != nil {
		return nil, v.inv.callError(err)
	}
	return results, nil
}

// broken returns the error of a run that could ask nothing. Results for machines have the error too.
func (v *testVerb) broken(err error, results []result) error {
	return errors.Join(err, v.printForMachines(results))
}

// An assertionFile holds the assertions of a file.
type assertionFile struct {
	name string
	list []assertion.Assertion
}

// read parses all files. The error joins everything wrong in them. unread has the same errors as results.
func (v *testVerb) read(names []string) (files []assertionFile, unread []result, err error) {
	var errs []error
	for _, name := range names {
		text, err := v.text(name)
		if err != nil {
			errs = append(errs, err)
			unread = append(unread, result{file: name, outcome: noReply, message: err.Error()})
			continue
		}
		list, wrong := assertion.Parse(text)
		for _, w := range wrong {
			place := name
			if w.Line > 0 {
				place = fmt.Sprintf("%s:%d", name, w.Line)
			}
			errs = append(errs, fmt.Errorf("%s: %w", place, w.Err))
			unread = append(unread, result{
				file: name, line: w.Line, outcome: noReply, message: w.Err.Error(),
			})
		}
		files = append(files, assertionFile{name, list})
	}
	return files, unread, errors.Join(errs...)
}

// maxAssertionBytes limits the size of a file of assertions.
const maxAssertionBytes = 64 << 20

func (v *testVerb) text(name string) ([]byte, error) {
	in := v.inv.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%w: give a file of assertions, or - for standard input", err)
		}
		defer file.Close() //nolint:errcheck // it was only read
		if info, err := file.Stat(); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s: is a directory: name the files in it, such as %s",
				name, filepath.Join(name, "*.txt"))
		}
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxAssertionBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w: give a file of assertions, or - for standard input", name, err)
	case len(text) > maxAssertionBytes:
		return nil, fmt.Errorf("%s: more than %d MiB: divide it", name, maxAssertionBytes>>20)
	}
	return text, nil
}
