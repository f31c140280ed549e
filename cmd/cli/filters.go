package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// filters are the flags that choose connections, of list and diff.
type filters struct {
	src, dst []string
	ports    []config.PortRange
	protocol string
	include  []string
}

// add adds the flags. verb is what is done with connections, and includes what may be included beside them.
func (f *filters) add(cmd *cobra.Command, verb, includeHelp string, includes ...string) {
	flags := cmd.Flags()
	flags.Var(config.NewWords(&f.src), "src", verb+" from these ends alone; repeat it for more")
	flags.Var(config.NewWords(&f.dst), "dst", verb+" to these ends alone; repeat it for more")
	flags.VarP(config.NewPortRanges(&f.ports), portFlag, "p", verb+" these ports alone; repeat it for more")
	flags.Var(config.NewChoice(&f.protocol, "all", "tcp", "udp", "sctp"), "protocol", verb+" this protocol alone")
	flags.Var(config.NewChoices(&f.include, includes...), "include", includeHelp)
}

// complete completes the words of --src and --dst.
func (f *filters) complete(inv *invocation, cmd *cobra.Command) {
	for _, flag := range []string{"src", "dst"} {
		// It fails only for unknown flags.
		_ = cmd.RegisterFlagCompletionFunc(flag, inv.completeListed)
	}
}

// ends returns what --src and --dst name.
func (f *filters) ends() (src, dst *netpoldv1.Ends, err error) {
	src, srcErr := netpold.ParseEnds(f.src...)
	dst, dstErr := netpold.ParseEnds(f.dst...)
	return src, dst, errors.Join(inFlag("src", srcErr), inFlag("dst", dstErr))
}

// inFlag returns an error with the flag in front of each of its lines; nil for none.
func inFlag(flag string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New("--" + flag + ": " + strings.ReplaceAll(err.Error(), "\n", "\n--"+flag+": "))
}

// protocolAndPorts returns what --protocol and -p name.
func (f *filters) protocolAndPorts() (protocol netpoldv1.Protocol, ports []*netpoldv1.PortRange) {
	if f.protocol != "all" {
		protocol, _ = netpold.ParseProtocol(f.protocol) // the flag takes no other
	}
	for _, r := range f.ports {
		ports = append(ports, &netpoldv1.PortRange{Protocol: protocol, First: r.First, Last: r.Last})
	}
	return protocol, ports
}

// included returns what --include names. policies reports whether the form of the output needs the rules.
func (f *filters) included(policies bool) []netpoldv1.Include {
	var list []netpoldv1.Include
	for _, include := range []struct { // the order of words does not count
		word  string
		value netpoldv1.Include
	}{
		{"nodes", netpoldv1.Include_INCLUDE_NODES}, {"services", netpoldv1.Include_INCLUDE_SERVICES},
		{"policies", netpoldv1.Include_INCLUDE_POLICIES},
	} {
		if slices.Contains(f.include, include.word) || include.word == "policies" && policies {
			list = append(list, include.value)
		}
	}
	return list
}
