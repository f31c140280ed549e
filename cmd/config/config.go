// Package config holds every setting of the netpold command. A setting is declared once, as a flag; its environment variable
// and its key in the config file follow from the flag's name:
//
//	--max-batch   NETPOLD_MAX_BATCH   max-batch: 10000
//
// A flag wins over the environment, the environment over the file, and the file over the default.
package config

import (
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/server"
)

// Config is the settings of one run. Start from [New], parse the flag sets, then [Config.Load] the rest. It is not safe for
// concurrent use while it is loaded.
type Config struct {
	// File is the config file; empty for none.
	File string
	// State is where the cluster's state comes from.
	State State
	// Client is how a running netpold is asked.
	Client Client
	// Server is the service; its Source, Logger and Version are not settings.
	Server server.Config
	// Log is what serve logs.
	Log Log

	groups  []*pflag.FlagSet
	origins map[string]Origin
}

// State is where the cluster's state comes from: manifests, or else a running cluster.
type State struct {
	// Manifests are files and directories, and "-" for standard input, read as one; none when empty.
	Manifests []string
	// Kubeconfig tells how to reach a cluster; empty for that of KUBECONFIG, of ~/.kube/config, or of the Pod that this runs in.
	Kubeconfig string
	// Context is the one of Kubeconfig; empty for its current one.
	Context string
	// MaxStaleness is for how long nothing may be heard of a resource of a cluster; 0 for ever.
	MaxStaleness time.Duration
	// Namespace is the one that is mirrored of a cluster, empty for all; of manifests, that of objects that name none, empty
	// for "default".
	Namespace string
	// Like is the name of the plugin whose behaviour is followed; see [Plugins].
	Like string
	// IPBlockMatchesPods is whether an ipBlock matches addresses of Pods and Nodes too (S19).
	IPBlockMatchesPods bool
	// PolicyTiers is [PolicyTiersAuto] or [PolicyTiersOff] (S31).
	PolicyTiers string
	// LocalAboveTiers puts all exceptions for a Pod itself and its Node before all tiers (S44).
	LocalAboveTiers bool
	// OwnNodeExempt is whether NetworkPolicies leave a Pod's connections to its own Node alone (S3).
	OwnNodeExempt bool
	// OwnServiceExempt is whether they leave a Pod alone that reaches itself through a Service (S2).
	OwnServiceExempt bool
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

// Client is how a running netpold is asked.
type Client struct {
	// Server is HOST:PORT, or any target of gRPC; empty for none.
	Server string
	// Timeout bounds each call; and, where a cluster is asked instead, for how long it may fail to be read.
	Timeout time.Duration
	// TLS says to use TLS; any of the files implies it.
	TLS bool
	// CA, Cert and Key are PEM files: the authorities of the server's certificate (default: the system's), and the client's own.
	CA, Cert, Key string
	// ServerName is the name that the server's certificate must bear; empty for the host of Server.
	ServerName string
}

// Secure says whether TLS is asked for.
func (c *Client) Secure() bool {
	return c.TLS || c.CA != "" || c.Cert != "" || c.Key != "" || c.ServerName != ""
}

// Log is what serve logs.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is auto, text or json.
	Format string
}

// Origin is where a setting's value comes from; a later one wins.
type Origin int

// The origins.
const (
	FromDefault Origin = iota
	FromFile
	FromEnv
	FromFlag
)

// New is the default of every setting.
func New() *Config {
	c := &Config{Server: server.Defaults(), origins: map[string]Origin{}}
	c.groups = []*pflag.FlagSet{c.fileFlags(), c.stateFlags(), c.clientFlags(), c.serverFlags()}
	return c
}

// FileFlags is the setting of the config file itself. The settings come in groups, for the verbs that use them; each names its
// environment variable in its usage.
func (c *Config) FileFlags() *pflag.FlagSet { return c.groups[0] }

// StateFlags say where the cluster's state is read; see [Config.FileFlags].
func (c *Config) StateFlags() *pflag.FlagSet { return c.groups[1] }

// ClientFlags say how a running netpold is asked; see [Config.FileFlags].
func (c *Config) ClientFlags() *pflag.FlagSet { return c.groups[2] }

// ServerFlags are the service's; see [Config.FileFlags].
func (c *Config) ServerFlags() *pflag.FlagSet { return c.groups[3] }

// Origin tells where the value of a setting comes from, by the flag's name.
func (c *Config) Origin(name string) Origin {
	if flag := c.lookup(name); flag != nil && flag.Changed {
		return FromFlag
	}
	return c.origins[name]
}

// SlogLevel is Level for slog.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo // a level that is none does not get past the flag
	}
	return level
}

// all visits every setting.
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
