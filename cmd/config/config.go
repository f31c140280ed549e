// Package config holds every setting of the netpold command. A setting is declared once, as a flag. Its
// environment variable and its key in the config file follow from the flag's name:
//
//	--max-batch   NETPOLD_MAX_BATCH   max-batch: 10000
//
// A flag overrides the environment, the environment the file, and the file the default.
package config

import (
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/server"
)

// A Config holds the settings of one run. Start from [New], parse the flag sets, then [Config.Load] the rest.
// It is not safe for concurrent use while loading.
type Config struct {
	// File is the config file; empty for none.
	File string
	// State says where the cluster's state comes from.
	State State
	// Client says how to ask a running netpold.
	Client Client
	// Server configures the service. Its Source, Logger, Version, Reviewer and TracerProvider are not settings.
	Server server.Config
	// KubeAuthzKubeconfig is the file that says which API server is asked about callers; empty for that of the Pod in
	// which this runs.
	KubeAuthzKubeconfig string
	// Tracing is [TracingNone] or [TracingOTLP].
	Tracing string
	// Log says what serve logs.
	Log Log

	groups  []*pflag.FlagSet
	origins map[string]Origin
}

// State is where the cluster's state comes from: manifests, or else a running cluster.
type State struct {
	// Manifests are files and directories, and "-" for standard input, read as one; empty for none.
	Manifests []string
	// MaxManifestBytes is how many bytes all manifests together may have.
	MaxManifestBytes int
	// ManifestsSettle is how long a manifest that lost policies must stand still first; 0 means not at all.
	ManifestsSettle time.Duration
	// Kubeconfig is the file that says how to reach a cluster; empty for that of KUBECONFIG, ~/.kube/config,
	// or the Pod in which this runs.
	Kubeconfig string
	// Context is the context in Kubeconfig; empty for the current one.
	Context string
	// MaxStaleness is how long a resource of a cluster may go without a sign of life; 0 means for ever.
	MaxStaleness time.Duration
	// Namespace is the one namespace to mirror of a cluster; empty for all. For manifests it is the namespace
	// of objects that name none; empty for "default".
	Namespace string
	// Like is the name of the plugin whose behaviour is followed; see [Plugins].
	Like string
	// IPBlockMatchesPods means that an ipBlock matches addresses of Pods and Nodes too (S19).
	IPBlockMatchesPods bool
	// PolicyTiers is [PolicyTiersAuto] or [PolicyTiersOff] (S31).
	PolicyTiers string
	// LocalAboveTiers puts all exceptions for a Pod itself and its Node before all tiers (S44).
	LocalAboveTiers bool
	// OwnNodeExempt is whether NetworkPolicies leave a Pod's connections to its own Node alone (S3).
	OwnNodeExempt bool
	// OwnServiceExempt is whether they leave a Pod alone that reaches itself through a Service (S2).
	OwnServiceExempt bool
	// JoinedDirections is whether rules of a policy for both directions count for both sides of connections
	// between the Pods that it selects.
	JoinedDirections bool
	// SharedIPBlocks is whether the ipBlocks of a rule are one set, in which the longest prefix decides.
	SharedIPBlocks bool
	// PoliciesEnforced is whether policies count at all.
	PoliciesEnforced bool
}

// The values of State.PolicyTiers.
const (
	// PolicyTiersAuto reads the cluster-wide policies that there are.
	PolicyTiersAuto = "auto"
	// PolicyTiersOff reads none: they play no part.
	PolicyTiersOff = "off"
)

// IgnoresTiers reports whether cluster-wide policies are not read.
func (s *State) IgnoresTiers() bool { return s.PolicyTiers == PolicyTiersOff }

// Client says how to ask a running netpold.
type Client struct {
	// Server is HOST:PORT, or any target of gRPC; empty for none.
	Server string
	// Timeout limits each call. If a cluster is asked instead, it limits how long reading the cluster may
	// fail.
	Timeout time.Duration
	// TLS turns TLS on; so does any of the files.
	TLS bool
	// CA, Cert and Key are PEM files: the authorities of the server's certificate (default: those of the
	// system), and the client's own certificate and key.
	CA, Cert, Key string
	// ServerName is the name that the server's certificate must have; empty for the host of Server.
	ServerName string
	// BearerTokenFile has the token that is sent with each call; empty for none.
	BearerTokenFile string
}

// Secure reports whether to use TLS.
func (c *Client) Secure() bool {
	return c.TLS || c.CA != "" || c.Cert != "" || c.Key != "" || c.ServerName != ""
}

// Log says what serve logs.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is auto, text or json.
	Format string
}

// The values of Config.Tracing.
const (
	// TracingNone makes no traces.
	TracingNone = "none"
	// TracingOTLP exports a span of each call, as the OTEL_* variables say.
	TracingOTLP = "otlp"
)

// An Origin is where a setting's value comes from. Later ones override earlier ones.
type Origin int

// The origins.
const (
	FromDefault Origin = iota
	FromFile
	FromEnv
	FromFlag
)

// New returns a Config with the default of every setting.
func New() *Config {
	c := &Config{Server: server.Defaults(), origins: map[string]Origin{}}
	c.groups = []*pflag.FlagSet{c.fileFlags(), c.stateFlags(), c.clientFlags(), c.serverFlags()}
	return c
}

// FileFlags returns the flag of the config file itself. Flags come in groups, for the verbs that use them.
// Each names its environment variable in its usage.
func (c *Config) FileFlags() *pflag.FlagSet { return c.groups[0] }

// StateFlags returns the flags that say where the cluster's state is read; see [Config.FileFlags].
func (c *Config) StateFlags() *pflag.FlagSet { return c.groups[1] }

// ClientFlags returns the flags that say how to ask a running netpold; see [Config.FileFlags].
func (c *Config) ClientFlags() *pflag.FlagSet { return c.groups[2] }

// ServerFlags returns the flags of the service; see [Config.FileFlags].
func (c *Config) ServerFlags() *pflag.FlagSet { return c.groups[3] }

// Origin returns where the value of a setting comes from, by the flag's name.
func (c *Config) Origin(name string) Origin {
	if flag := c.lookup(name); flag != nil && flag.Changed {
		return FromFlag
	}
	return c.origins[name]
}

// SlogLevel returns Level for slog.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo // the flag accepts no other level
	}
	return level
}

// all calls visit for every setting.
func (c *Config) all(visit func(*pflag.Flag)) {
	for _, group := range c.groups {
		group.VisitAll(visit)
	}
}

func (c *Config) lookup(name string) *pflag.Flag {
	for _, group := range c.groups {
		if flag := group.Lookup(name); flag != nil {
			return flag
		}
	}
	return nil
}
