package cli_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/cli"
	"github.com/netpold/netpold/cmd/config"
)

// twoValues returns two different values that a flag takes.
func twoValues(t *testing.T, flag *pflag.Flag) (first, second string) {
	t.Helper()
	if strings.Contains(flag.Usage, "HOST:PORT") {
		return "one:1", "two:2"
	}
	value := config.ValueOf(flag)
	if choice, ok := value.(*config.Choice); ok {
		return choice.Words[0], choice.Words[1]
	}
	switch value.Type() {
	case "string":
		if flag.Name == "trusted-proxies" {
			return "10.0.0.1", "10.0.0.2"
		}
		return "one", "two"
	case "int", "uint32", "port":
		return "5432", "5433"
	case "duration":
		return "1m1s", "1m2s"
	case "float64":
		return "0.25", "0.5"
	case "bool":
		return "true", "false"
	default:
		t.Fatalf("--%s: no values known for type %s", flag.Name, value.Type())
		return "", ""
	}
}

// TestRepeatedFlags gives every flag of every verb twice. Only one that adds up may be; every other names
// both values.
func TestRepeatedFlags(t *testing.T) {
	seen := 0
	for _, verb := range cli.NewRoot().Commands() {
		if slices.Contains([]string{"completion", "help"}, verb.Name()) {
			continue
		}
		verb.Flags().VisitAll(func(flag *pflag.Flag) {
			// Of these types, values add up.
			adds := []string{"path", "stringArray", "word", "port[-port]", "object", "nodes,services,policies", "nodes,policies"}
			if slices.Contains(adds, config.ValueOf(flag).Type()) {
				if config.ValueOf(flag) != flag.Value {
					t.Errorf("%s --%s takes one value", verb.Name(), flag.Name)
				}
				return
			}
			if flag.Name == "help" {
				return
			}
			seen++
			t.Run(verb.Name()+" --"+flag.Name, func(t *testing.T) {
				first, second := twoValues(t, flag)
				code := 2
				if verb.Name() == "healthcheck" {
					code = 1
				}
				netpold(t, verb.Name(), "--"+flag.Name+"="+first, "--"+flag.Name+"="+second).want(t, code, "",
					"netpold: --"+flag.Name+`: "`+second+`" is a second value beside "`+first+`": give one; see 'netpold `+
						verb.Name()+" --help'\n")
			})
		})
	}
	if seen < 50 {
		t.Errorf("only %d flags seen", seen)
	}
}

func TestRepeatedShortFlags(t *testing.T) {
	netpold(t, "check", "-p", "5432", "-p", "5433").want(t, 2, "",
		`netpold: --port: "5433" is a second value beside "5432": give one; see 'netpold check --help'`)
	file := writeFile(t, "cluster.yaml", cluster)
	netpold(t, "check", "--manifests", file, "shop/web-0", "shop/cart-0", "-p8080", "-p", "8080").
		want(t, 0, "allowed", "")
}

// TestRepeatedManifests: all paths are read as one, wherever they are named.
func TestRepeatedManifests(t *testing.T) {
	objects, policies, _ := strings.Cut(cluster, "---\napiVersion: networking.k8s.io/v1")
	pods := writeFile(t, "pods.yaml", objects)
	closed := writeFile(t, "policies.yaml", "apiVersion: networking.k8s.io/v1"+policies)
	question := []string{"shop/other-0", "shop/cart-0", "-p", "8080"}
	file := writeFile(t, "netpold.yaml", "manifests:\n- "+pods+"\n- "+closed+"\n")
	for name, test := range map[string]struct {
		env   []string
		stdin string
		args  []string
	}{
		"flags":          {args: []string{"--manifests", closed, "--manifests", pods}},
		"standard input": {args: []string{"--manifests", closed, "--manifests=-"}, stdin: objects},
		"environment":    {env: []string{"NETPOLD_MANIFESTS=" + pods + ":" + closed}},
		"config file":    {args: []string{"--config", file}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(append([]string{"check"}, test.args...), question...)
			netpoldWith(t, test.env, test.stdin, args...).want(t, 1, "shop/cart\n            shop/default-deny\n", "")
			token := netpoldWith(t, test.env, test.stdin, append([]string{"token"}, test.args...)...)
			if token.code != 0 || len(token.stdout) < 20 {
				t.Errorf("token: %+v", token)
			}
		})
	}
	server := serve(t, "--manifests", pods, "--manifests", closed)
	netpold(t, append([]string{"check", "--server", server.addr}, question...)...).want(t, 1, "denied", "")
	netpold(t, "status", "--server", server.addr).want(t, 0, "manifests "+pods+", "+closed+"\n", "")

	// Order does not matter, and a problem is of its file.
	netpold(t, append([]string{"check", "--manifests", pods, "--manifests", pods + "x"}, question...)...).
		want(t, 2, "",
			"netpold: --manifests "+pods+"x: no such file or directory: name a file or directory that exists")
	copied := writeFile(t, "copy.yaml", objects)
	netpold(t, append([]string{"check", "--manifests", pods, "--manifests", copied}, question...)...).
		want(t, 2, "",
			copied+`, document 1: Namespace "shop": metadata.name: Duplicate value: "shop": it is also in `+pods+
				", document 1")
}

// TestEmptyFlagsThatChooseTheSource: an unset variable of a script must not lead to another cluster.
func TestEmptyFlagsThatChooseTheSource(t *testing.T) {
	for flag, want := range map[string]string{
		"--manifests":  `--manifests: "" is no path: give a file, a directory, or - for standard input`,
		"--server":     "--server: its value is empty: give one, or leave the flag out",
		"--context":    "--context: its value is empty: give one, or leave the flag out",
		"--kubeconfig": "--kubeconfig: its value is empty: give one, or leave the flag out",
	} {
		netpold(t, "check", flag+"=", "shop/web-0", "shop/cart-0", "-p", "8080").want(t, 2, "", "netpold: "+want)
	}
}
