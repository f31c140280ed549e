package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
)

// countsFor has the settings that count only for some of the places where the state comes from.
var countsFor = map[string][]place{
	"namespace":            {fromManifests, fromCluster},
	"ipblock-matches-pods": {fromManifests, fromCluster},
	"like":                 {fromManifests, fromCluster},
	"local-above-tiers":    {fromManifests, fromCluster},
	"own-node-exempt":      {fromManifests, fromCluster},
	"own-service-exempt":   {fromManifests, fromCluster},
	"joined-directions":    {fromManifests, fromCluster},
	"shared-ipblocks":      {fromManifests, fromCluster},
	"policies-enforced":    {fromManifests, fromCluster},
	"policy-tiers":         {fromManifests, fromCluster},
	"max-staleness":        {fromCluster},
	"manifests-settle":     {fromManifests},
	"tls":                  {fromServer},
	"tls-ca":               {fromServer},
	"tls-client-cert":      {fromServer},
	"tls-client-key":       {fromServer},
	"tls-server-name":      {fromServer},
	"bearer-token-file":    {fromServer},
}

// misplaced returns an error for each flag of the command line that does not count for the chosen place. It
// warns of a variable, or a key of the config file, that is set as close to the command line as the place.
// One that is set farther away is meant for other calls.
func (inv *invocation) misplaced(chosen place, closest config.Origin, by string) error {
	if inv.running == nil {
		return nil
	}
	var errs []error
	inv.running.Flags().VisitAll(func(flag *pflag.Flag) {
		places, limited := countsFor[flag.Name]
		if !limited || slices.Contains(places, chosen) {
			return
		}
		name, origin := flag.Name, inv.config.Origin(flag.Name)
		if name == "namespace" && inv.allNamespaces {
			name = allNamespacesFlag
		}
		switch {
		case origin == config.FromFlag:
			errs = append(errs, misplacedError(name, chosen, by))
		case origin != config.FromDefault && origin == closest:
			inv.notice("warning: %s; it is set by %s", misplacedError(name, chosen, by), originText(origin, name))
		}
	})
	return errors.Join(errs...)
}

// misplacedError returns why a flag does not count, and what to do. by is the flag that chose the place;
// empty for none.
func misplacedError(name string, chosen place, by string) error {
	beside := "--" + name + " goes with --server"
	if by != "" {
		beside = fmt.Sprintf("--%s does not go with --%s", name, by)
	}
	switch {
	case chosen == fromServer:
		return fmt.Errorf("%s: the server answers from its own state, as its own --%s says: leave one of them out",
			beside, name)
	case slices.Contains(countsFor[name], fromServer) && by != "":
		return fmt.Errorf("%s: it is for asking a running netpold: leave one of them out, or give --server "+
			"HOST:PORT instead", beside)
	case slices.Contains(countsFor[name], fromServer):
		return fmt.Errorf("%s: it is for asking a running netpold: give --server HOST:PORT, or leave it out",
			beside)
	case chosen == fromCluster: // --manifests-settle
		return fmt.Errorf("--%s is for files, and the state is a running cluster's: give --manifests PATH, or leave it out", name)
	default: // --max-staleness
		return fmt.Errorf("%s: it is for a running cluster, and files are read again by themselves: leave one "+
			"of them out", beside)
	}
}

// allNamespacesFlag is the name of the flag -A.
const allNamespacesFlag = "all-namespaces"

// addAllNamespaces adds -A. It is no setting, but undoes one.
func (inv *invocation) addAllNamespaces(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&inv.allNamespaces, allNamespacesFlag, "A", false,
		"all namespaces, whatever the environment and the config file say of --namespace; the default")
}

// applyAllNamespaces makes --namespace empty if -A is given.
func (inv *invocation) applyAllNamespaces(cmd *cobra.Command) error {
	if !inv.allNamespaces {
		return nil
	}
	if cmd.Flags().Changed("namespace") {
		return usageError(cmd, "-A and -n exclude each other: leave one of them out")
	}
	return cmd.Flags().Set("namespace", "")
}

// emptyIsAValue has the settings that may be empty.
var emptyIsAValue = []string{"admin-listen"}

// rejectEmpty returns an error for a flag with an empty value, such as "--tls-cert $UNSET": it would be
// ignored.
func rejectEmpty(cmd *cobra.Command, group *pflag.FlagSet) error {
	var errs []error
	group.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && flag.Value.Type() == "string" && flag.Value.String() == "" &&
			!slices.Contains(emptyIsAValue, flag.Name) {
			errs = append(errs, usageError(cmd, "--%s: its value is empty: give one, or leave the flag out",
				flag.Name))
		}
	})
	return errors.Join(errs...)
}

func originText(origin config.Origin, name string) string {
	if origin == config.FromEnv {
		return config.EnvName(name)
	}
	return "the config file"
}
