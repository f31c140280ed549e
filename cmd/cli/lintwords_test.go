package cli_test

import "testing"

// TestLintNamesItsFlags proves that an error about a word has the flag and the word in it, with files and with a
// server, and what may be meant.
func TestLintNamesItsFlags(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "cluster.yaml", lintBase)
	server := serve(t, "--manifests="+path).addr
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"namespace": {[]string{"--ns=shpo"}, `netpold: --ns shpo: there is no namespace "shpo": did you mean shop?`},
		"second":    {[]string{"--ns=shop", "--ns=x"}, `netpold: --ns x: there is no namespace "x": check its name`},
		"empty":     {[]string{"--ns="}, `--ns: "" is empty: give a word, or leave the flag out`},
		"code":      {[]string{"--code=rule-coverd"}, `--code "rule-coverd": there is no such code: did you mean rule-covered?`},
		"no code":   {[]string{"--disable=x"}, `--disable "x": there is no such code: give one of allows-all, egress-forgets-dns`},
		"two codes": {[]string{"--code=allows-all,not-isolated"}, "is no code: give the flag once for each code"},
	} {
		for _, state := range []string{"--manifests=" + path, "--server=" + server} {
			t.Run(name+" "+state[:4], func(t *testing.T) {
				netpold(t, append([]string{"lint", "-q", state}, test.args...)...).want(t, 2, "", test.want)
			})
		}
	}
}
