package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/mirror/live"
)

func (inv *invocation) tokenVerb() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "token [-f FILE | --manifests PATH | --server HOST:PORT | --kubeconfig FILE] [flags]",
		Short: "Print the token of a state, to get no answer from an older one",
		Long: "token prints a token for at_least and --at-least: a question with it gets no answer from an\n" +
			"older state.\n\n" +
			"With -f it is the token of objects, as 'kubectl apply -o yaml' or 'kubectl get -o yaml' printed them:\n" +
			"an answer then includes each of them, as printed or newer. The input may have lists and several\n" +
			"documents.\n\n" +
			"Otherwise it is the token of the present state: of the cluster of --kubeconfig and --context, or the\n" +
			"one that kubectl would use; of a running netpold (--server); or of files (--manifests), for\n" +
			"servers of the same files.",
		Example: "  kubectl apply -f policy.yaml -o yaml | netpold token -f -\n" +
			"  netpold token --context staging\n" +
			"  netpold token --server 127.0.0.1:9480",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVarP(&file, "file", "f", "",
		"print the token of the objects in `FILE`; - for standard input")
	inv.addAllNamespaces(cmd)
	inv.addQuiet(cmd)
	return inv.verb(cmd, func(ctx context.Context, _ []string) error {
		var token string
		var err error
		if cmd.Flags().Changed("file") {
			token, err = inv.fileToken(cmd, file)
		} else {
			token, err = inv.presentToken(ctx)
		}
		if err != nil {
			return err
		}
		return printText(inv.stdout, token+"\n")
	}, without(inv.config.StateFlags(), "ipblock-matches-pods", "own-node-exempt",
		"own-service-exempt", "joined-directions", "shared-ipblocks", "local-above-tiers", "policies-enforced"), inv.config.ClientFlags(),
		inv.config.FileFlags())
}

// fileToken returns the token of the objects in a file.
func (inv *invocation) fileToken(cmd *cobra.Command, file string) (string, error) {
	var errs []error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		implied := flag.Name == "namespace" && inv.allNamespaces // -A has set it
		if !implied && !slices.Contains([]string{"file", "quiet", config.ConfigFlag}, flag.Name) {
			errs = append(errs, usageError(cmd, "-f and --%s exclude each other: leave one of them out", flag.Name))
		}
	})
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	in := inv.stdin
	switch file {
	case "":
		return "", usageError(cmd, "-f needs a file, or - for standard input")
	case "-":
	default:
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("-f: %w: give a file that can be read, or - for standard input", err)
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	text, err := io.ReadAll(in)
	if err == nil {
		var token string
		if token, err = tokenOfObjects(text); err == nil {
			return token, nil
		}
	}
	return "", eachLine(err, "-f "+file+": ")
}

// eachLine adds a prefix to each of several joined errors.
func eachLine(err error, prefix string) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s%w", prefix, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s%w", prefix, e))
	}
	return errors.Join(errs...)
}

// presentToken returns the token of the present state.
func (inv *invocation) presentToken(ctx context.Context) (string, error) {
	places := []place{fromManifests, fromServer, fromCluster}
	from, err := inv.stateFrom(places...)
	switch {
	case err != nil:
		return "", err
	case from == fromServer:
		return inv.serverToken(ctx)
	case from == fromManifests:
		files, err := inv.openManifests(ctx, slog.New(slog.DiscardHandler))
		if err != nil {
			return "", err
		}
		state, _ := files.State() // it has just been read
		return state.Token, nil
	default:
		return inv.clusterToken(ctx, places)
	}
}

func (inv *invocation) serverToken(ctx context.Context) (string, error) {
	client, err := inv.dial()
	if err != nil {
		return "", err
	}
	defer client.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := context.WithTimeout(ctx, inv.config.Client.Timeout)
	defer cancel()
	status, err := client.Status(ctx)
	if err != nil {
		return "", inv.callError(err)
	}
	if !status.GetReady() {
		server := inv.config.Client.Server
		return "", fmt.Errorf("--server %s: it has no state yet: wait until it is ready; 'netpold status "+
			"--server %s' tells what is missing", server, server)
	}
	return status.GetToken(), nil
}

// clusterToken returns the token of a state with every change made to the cluster before the call.
func (inv *invocation) clusterToken(ctx context.Context, places []place) (string, error) {
	s := &inv.config.State
	connection, err := live.Connect(s.Kubeconfig, s.Context)
	if err != nil {
		return "", inv.noCluster(places, err)
	}
	ctx, cancel := context.WithTimeout(ctx, inv.config.Client.Timeout)
	defer cancel()
	return live.PresentToken(ctx, connection, s.Namespace, !s.IgnoresTiers())
}
