package cli_test

import (
	"strings"
	"testing"
)

// TestQuiet: notices go to standard error, and --quiet silences them whatever they are about.
func TestQuiet(t *testing.T) {
	const ignored = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
	file := writeFile(t, "cluster.yaml", strings.ReplaceAll(cluster, "203.0.113.0/24", "203.0.113.9/24")+ignored)
	server := serve(t, "--manifests", writeFile(t, "cluster.yaml", cluster))
	env := []string{"NETPOLD_MANIFEST=x"}
	const variable = "netpold: warning: NETPOLD_MANIFEST is ignored"
	question := []string{"shop/web-0", "shop/cart-0", "-p", "8080"}
	for name, test := range map[string]struct {
		args    []string
		notices []string
	}{
		"check": {
			append([]string{"check", "--manifests", file}, question...),
			[]string{variable, `warning: `, "netpold: these kinds play no part: 1 ConfigMap\n"},
		},
		"check at a server": {append([]string{"check", "--server", server.addr}, question...), []string{variable}},
		"token":             {[]string{"token", "--manifests", file}, []string{variable}},
		"status":            {[]string{"status", "--server", server.addr}, []string{variable}},
	} {
		t.Run(name, func(t *testing.T) {
			loud := netpoldWith(t, env, "", test.args...)
			for _, notice := range test.notices {
				if !strings.Contains(loud.stderr, notice) {
					t.Errorf("stderr does not have %q:\n%s", notice, loud.stderr)
				}
			}
			for _, flag := range []string{"-q", "--quiet"} {
				quiet := netpoldWith(t, env, "", append(test.args, flag)...)
				if quiet.code != 0 || quiet.stderr != "" || quiet.stdout == "" {
					t.Errorf("%s: %+v", flag, quiet)
				}
			}
		})
	}
}

// TestQuietSilencesNoError: what is wrong is told, also what is wrong in manifests.
func TestQuietSilencesNoError(t *testing.T) {
	file := writeFile(t, "broken.yaml", cluster+"---"+brokenPolicies)
	for name, args := range map[string][]string{
		"usage":     {"check", "-q"},
		"manifests": {"check", "-q", "--manifests", file, "shop/web-0", "shop/cart-0", "-p", "8080"},
		"server":    {"status", "--quiet"},
		"token":     {"token", "--quiet", "-f", "/nowhere"},
	} {
		loud := []string{}
		for _, arg := range args {
			if arg != "-q" && arg != "--quiet" {
				loud = append(loud, arg)
			}
		}
		quiet, want := netpold(t, args...), netpold(t, loud...)
		if quiet != want || quiet.code != 2 {
			t.Errorf("%s: %+v, without --quiet %+v", name, quiet, want)
		}
	}
	netpold(t, "check", "-q=maybe").
		want(t, 2, "", `netpold: --quiet: "maybe" is not a truth value: give true or false; see 'netpold check --help'`)
}
