package cli_test

import (
	"context"
	"encoding/json"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), patience)
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"help"}, {"--help"}, {"-h"}} {
		got := netpold(t, args...)
		got.want(t, 0, "Usage:\n  netpold", "")
		for _, verb := range []string{"serve", "check", "status", "token", "healthcheck", "version", "completion",
			"help"} {
			if !regexp.MustCompile(`(?m)^  ` + verb + ` `).MatchString(got.stdout) {
				t.Errorf("%q does not list %s:\n%s", args, verb, got.stdout)
			}
		}
	}
}

func TestHelpOfAVerb(t *testing.T) {
	long := netpold(t, "check", "--help")
	if short := netpold(t, "help", "check"); short != long || short.code != 0 {
		t.Errorf("help check says\n%s\ncheck --help says\n%s", short.stdout, long.stdout)
	}
}

// TestHelpAgreesWithTheSettings: every setting stands in the help of the verbs that use it, with its variable
// and its default.
func TestHelpAgreesWithTheSettings(t *testing.T) {
	help := map[string]string{}
	for _, verb := range []string{"serve", "check", "status", "token", "healthcheck"} {
		help[verb] = strings.Join(strings.Fields(netpold(t, verb, "--help").stdout), " ")
	}
	// Tokens do not depend on what decisions mean.
	noneOfTokens := []string{
		"ipblock-matches-pods", "own-node-exempt", "own-service-exempt", "joined-directions", "shared-ipblocks", "local-above-tiers", "policies-enforced",
	}
	c := config.New()
	for _, group := range []struct {
		flags *pflag.FlagSet
		verbs []string
	}{
		{c.FileFlags(), []string{"serve", "check", "status", "token", "healthcheck"}},
		{c.StateFlags(), []string{"serve", "check", "token"}},
		{c.ClientFlags(), []string{"check", "status", "token"}},
		{c.ServerFlags(), []string{"serve"}},
	} {
		group.flags.VisitAll(func(flag *pflag.Flag) {
			for _, verb := range group.verbs {
				if verb == "token" && slices.Contains(noneOfTokens, flag.Name) {
					continue
				}
				if !regexp.MustCompile(`--`+flag.Name+`[ \[]`).
					MatchString(help[verb]) || !strings.Contains(help[verb], "["+config.EnvName(flag.Name)+"]") {
					t.Errorf("netpold %s --help does not have --%s and %s", verb, flag.Name, config.EnvName(flag.Name))
				}
				if value := flag.DefValue; value != "" && value != "false" && value != "0" &&
					!strings.Contains(help[verb], value) {
					t.Errorf("netpold %s --help does not have the default %s of --%s", verb, value, flag.Name)
				}
			}
		})
	}
}

func TestWrongVerbs(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"near": {[]string{"chek"},
			`netpold: unknown verb "chek": did you mean "check"?; see 'netpold --help'` + "\n"},
		"far":  {[]string{"frobnicate"}, `netpold: unknown verb "frobnicate"; see 'netpold --help'` + "\n"},
		"help": {[]string{"help", "chek"}, `netpold: unknown verb "chek": did you mean "check"?`},
		"shell": {[]string{"completion", "bahs"},
			`netpold: unknown shell "bahs": give bash, fish, powershell, zsh; see`},
		"flag": {[]string{"--frobnicate"}, "netpold: unknown flag --frobnicate; see 'netpold --help'\n"},
		"version word": {[]string{"version", "x"},
			`netpold: "x": version takes no words, only flags; see 'netpold version --help'` + "\n"},
		"status word": {[]string{"status", "127.0.0.1:9480"},
			`netpold: "127.0.0.1:9480": status takes no words, only flags`},
		"no server": {[]string{"status"}, "netpold: no server to ask: give --server HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) { netpold(t, test.args...).want(t, 2, "", test.want) })
	}
}

func TestVersion(t *testing.T) {
	netpold(t, "version").want(t, 0, "netpold dev", "")
	got := netpold(t, "version", "-o", "json")
	var build map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &build); err != nil || build["go"] != runtime.Version() ||
		build["version"] != "dev" {
		t.Errorf("version is %v (%v)", build, err)
	}
}

// TestVersionNeedsNoSettings: it answers in the worst of surroundings.
func TestVersionNeedsNoSettings(t *testing.T) {
	netpoldWith(t, []string{"NETPOLD_MAX_BATCH=x", "NETPOLD_CONFIG=/nowhere"}, "", "version").
		want(t, 0, "netpold", "")
}

func TestUnknownVariableIsToldAndIgnored(t *testing.T) {
	got := netpoldWith(t, []string{"NETPOLD_MANIFEST=x"}, cluster, "check", "--manifests=-", "shop/web-0",
		"shop/cart-0", "-p", "8080")
	got.want(t, 0, "allowed", "netpold: warning: NETPOLD_MANIFEST is ignored, for it is no setting: did you mean NETPOLD_MANIFESTS?\n")
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		netpold(t, "completion", shell).want(t, 0, "netpold", "")
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"ser"}, "serve\tServe decisions over gRPC\n:4\n"},
		{[]string{"help", "ve"}, "version\n:4\n"},
		{[]string{"serve", "--log-format", ""}, "auto\ntext\njson\n:4\n"},
		{[]string{"serve", "--when-stale", ""}, "answer\ndeny\n:4\n"},
		{[]string{"serve", "--log-level", ""}, "debug\ninfo\nwarn\nerror\n:4\n"},
		{[]string{"check", "--protocol", ""}, "tcp\nudp\nsctp\n:4\n"},
		{[]string{"status", "-o", ""}, "text\njson\nyaml\n:4\n"},
		{[]string{"check", "--manifests", ""}, ":0\n"},
		{[]string{"check", ""}, ":4\n"},
	} {
		got := netpold(t, append([]string{"__complete"}, test.args...)...)
		if got.code != 0 || got.stdout != test.want {
			t.Errorf("%q is completed by\n%swant\n%s", test.args, got.stdout, test.want)
		}
	}
}
