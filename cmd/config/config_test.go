package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/netpold/netpold/cmd/config"
	"github.com/netpold/netpold/server"
)

// groups returns all flags of a Config.
func groups(c *config.Config) []*pflag.FlagSet {
	return []*pflag.FlagSet{c.FileFlags(), c.StateFlags(), c.ClientFlags(), c.ServerFlags()}
}

func all(c *config.Config, visit func(*pflag.Flag)) {
	for _, group := range groups(c) {
		group.VisitAll(visit)
	}
}

func lookup(c *config.Config, name string) *pflag.Flag {
	for _, group := range groups(c) {
		if flag := group.Lookup(name); flag != nil {
			return flag
		}
	}
	return nil
}

// parse parses args as a verb with every flag would.
func parse(t *testing.T, c *config.Config, args ...string) {
	t.Helper()
	verb := pflag.NewFlagSet("verb", pflag.ContinueOnError)
	for _, group := range groups(c) {
		verb.AddFlagSet(group)
	}
	if err := verb.Parse(args); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netpold.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// others returns three values of a flag other than its default, as Value.String returns them.
func others(t *testing.T, flag *pflag.Flag) [3]string {
	t.Helper()
	if strings.Contains(flag.Usage, "HOST:PORT") {
		return [3]string{"one:1", "two:2", "[::3]:3"}
	}
	if choice, ok := config.ValueOf(flag).(*config.Choice); ok {
		var words []string
		for i := 0; len(words) < 3; i++ {
			if word := choice.Words[i%len(choice.Words)]; word != flag.DefValue {
				words = append(words, word)
			}
		}
		return [3]string(words)
	}
	switch kind := flag.Value.Type(); kind {
	case "string", "path":
		if flag.Name == "trusted-proxies" {
			return [3]string{"10.0.0.1", "10.0.0.0/8,::1", "fd00::/8"}
		}
		return [3]string{"one", "two", "three"}
	case "int", "uint32":
		return [3]string{"101", "102", "103"}
	case "float64":
		return [3]string{"0.1", "0.2", "0.3"}
	case "duration":
		return [3]string{"1m1s", "1m2s", "1m3s"}
	case "bool":
		other := fmt.Sprint(flag.DefValue != "true")
		return [3]string{other, flag.DefValue, other}
	default:
		t.Fatalf("--%s: no values known for type %s", flag.Name, kind)
		return [3]string{}
	}
}

// yamlValue returns a value as YAML writes its type.
func yamlValue(flag *pflag.Flag, value string) string {
	switch flag.Value.Type() {
	case "int", "uint32", "float64", "bool":
		return value
	default:
		return fmt.Sprintf("%q", value)
	}
}

// TestFlagEnvironmentAndFileAgree sets every setting in every way, and in all ways at once.
func TestFlagEnvironmentAndFileAgree(t *testing.T) {
	seen := 0
	all(config.New(), func(declared *pflag.Flag) {
		if declared.Name == config.ConfigFlag {
			return
		}
		seen++
		t.Run(declared.Name, func(t *testing.T) {
			values := others(t, declared)
			file := writeFile(t, declared.Name+": "+yamlValue(declared, values[0])+"\n")
			variable := config.EnvName(declared.Name) + "=" + values[1]
			flag := "--" + declared.Name + "=" + values[2]
			for name, test := range map[string]struct {
				args   []string
				env    []string
				want   string
				origin config.Origin
			}{
				"default":        {nil, nil, lookup(config.New(), declared.Name).Value.String(), config.FromDefault},
				"file":           {[]string{"--config", file}, nil, values[0], config.FromFile},
				"file by env":    {nil, []string{"NETPOLD_CONFIG=" + file}, values[0], config.FromFile},
				"env":            {nil, []string{variable}, values[1], config.FromEnv},
				"env over file":  {[]string{"--config", file}, []string{variable}, values[1], config.FromEnv},
				"flag":           {[]string{flag}, nil, values[2], config.FromFlag},
				"flag over env":  {[]string{flag}, []string{variable}, values[2], config.FromFlag},
				"flag over file": {[]string{flag, "--config", file}, nil, values[2], config.FromFlag},
				"flag over all":  {[]string{flag, "--config", file}, []string{variable}, values[2], config.FromFlag},
			} {
				t.Run(name, func(t *testing.T) {
					c := config.New()
					parse(t, c, test.args...)
					warnings, err := c.Load(test.env)
					if err != nil || len(warnings) > 0 {
						t.Fatalf("Load: %v, warnings %q", err, warnings)
					}
					if got := lookup(c, declared.Name).Value.String(); got != test.want {
						t.Errorf("value is %q, want %q", got, test.want)
					}
					if got := c.Origin(declared.Name); got != test.origin {
						t.Errorf("origin is %v, want %v", got, test.origin)
					}
				})
			}
		})
	})
	if seen < 25 {
		t.Fatalf("only %d settings seen", seen)
	}
}

// TestSeveralPaths proves that a flag may be repeated, a variable has separators, and a file a list. All
// paths come from one origin.
func TestSeveralPaths(t *testing.T) {
	file := writeFile(t, "manifests: [one:1, two]\n")
	single := writeFile(t, "manifests: one:1\n")
	for name, test := range map[string]struct {
		args, env, want []string
	}{
		"flags":     {args: []string{"--manifests=a,b", "--manifests", "c:d"}, want: []string{"a,b", "c:d"}},
		"same path": {args: []string{"--manifests=a", "--manifests=a"}, want: []string{"a", "a"}},
		"env":       {env: []string{"NETPOLD_MANIFESTS=a:/b,c"}, want: []string{"a", "/b,c"}},
		"empty env": {env: []string{"NETPOLD_MANIFESTS="}},
		"file":      {args: []string{"--config", file}, want: []string{"one:1", "two"}},
		"file, one": {args: []string{"--config", single}, want: []string{"one:1"}},
		"env over file": {args: []string{"--config", file}, env: []string{"NETPOLD_MANIFESTS=a"},
			want: []string{"a"}},
		"flag over both": {args: []string{"--config", file, "--manifests=x"}, env: []string{"NETPOLD_MANIFESTS=a"},
			want: []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.New()
			parse(t, c, test.args...)
			if _, err := c.Load(test.env); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.State.Manifests); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDefaults proves that a new Config has the defaults of the server, and that they are valid.
func TestDefaults(t *testing.T) {
	c := config.New()
	want, got := server.Defaults(), c.Server
	want.Logger, got.Logger = nil, nil
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(server.Config{})); diff != "" {
		t.Errorf("server settings (-server +config):\n%s", diff)
	}
	if !c.State.IPBlockMatchesPods || c.State.Namespace != "" || c.Client.Timeout != 10*time.Second {
		t.Errorf("defaults are %+v, %+v", c.State, c.Client)
	}
}

// TestEveryServerSettingHasAFlag proves that the error of each field of server.Config names a flag, and that
// the flag sets the field.
func TestEveryServerSettingHasAFlag(t *testing.T) {
	var walk func(prefix string, fields reflect.Value)
	c := config.New()
	walk = func(prefix string, fields reflect.Value) {
		for i := range fields.NumField() {
			name, field := prefix+fields.Type().Field(i).Name, fields.Field(i)
			switch {
			case !fields.Type().Field(i).IsExported():
				continue // for the tests of the server
			case slices.Contains([]string{"Source", "Overlay", "Logger", "Version", "Stdout", "Reviewer", "TracerProvider"}, name):
				continue
			case field.Kind() == reflect.Struct:
				walk(name+".", field)
				continue
			}
			err := &server.FieldError{Fields: []server.Field{{Name: name}}, Err: errors.New("wrong")}
			text := config.InFlags(errors.Join(err)).Error()
			flag := c.ServerFlags().Lookup(strings.TrimSuffix(strings.TrimPrefix(text, "--"), ": wrong"))
			if flag == nil {
				t.Errorf("the error of %s is %q, which names no flag", name, text)
				continue
			}
			before := field.Interface()
			for _, value := range []string{"7", "7s", "127.0.0.1:7", "10.0.0.0/8", "deny", "true", "0.5", "policy"} {
				if flag.Value.Set(value) == nil {
					break
				}
			}
			if reflect.DeepEqual(before, field.Interface()) {
				t.Errorf("--%s does not set %s", flag.Name, name)
			}
		}
	}
	walk("", reflect.ValueOf(&c.Server).Elem())
}

// TestReread proves that flags stay, that the environment and the file are read again, and that differences
// are named.
func TestReread(t *testing.T) {
	file := filepath.Join(t.TempDir(), "netpold.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("max-batch: 5\nmax-streams: 5\n")
	c := config.New()
	flags := c.ServerFlags()
	flags.AddFlagSet(c.FileFlags())
	flags.AddFlagSet(c.StateFlags())
	if err := flags.Parse([]string{"--config", file, "--max-batch=3", "--manifests=a",
		"--manifests=b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load(nil); err != nil {
		t.Fatal(err)
	}
	write("max-batch: 6\nmax-streams: 6\n")
	next, err := c.Reread([]string{"NETPOLD_LOG_LEVEL=debug"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"max-streams", "log-level"}; !slices.Equal(c.Differences(next), want) {
		t.Errorf("differences are %q, want %q", c.Differences(next), want)
	}
	if next.Server.MaxBatch != 3 || !slices.Equal(next.State.Manifests, []string{"a", "b"}) {
		t.Errorf("flags are lost: %d, %q", next.Server.MaxBatch, next.State.Manifests)
	}
	write("max-batch: none\n")
	if _, err := c.Reread(nil); err == nil {
		t.Error("a wrong file is taken")
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		env  []string
		// want are parts of the error, one for each of its lines.
		want []string
	}{
		"unknown key, near one": {file: "listne: x",
			want: []string{`netpold.yaml:1: unknown key "listne": did you mean listen?`}},
		"unknown key, near none": {file: "colour: blue", want: []string{`:1: unknown key "colour"; the keys are`}},
		"key of the file itself": {file: "config: x.yaml", want: []string{`:1: unknown key "config"`}},
		"text for a number": {file: `max-batch: "many"`,
			want: []string{`:1: max-batch: "many" is not a whole number: give one, such as 10000`}},
		"number in quotes": {file: `max-batch: "5"`,
			want: []string{`:1: max-batch: "5" is not a whole number`}},
		"text for a fraction": {file: `decision-log-sample: few`,
			want: []string{`:1: decision-log-sample: "few" is not a number: give one, such as 1`}},
		"fraction": {file: `max-batch: 1.5`,
			want: []string{`:1: max-batch: "1.5" is not a whole number`}},
		"no time": {file: `timeout: 0s`,
			want: []string{`:1: timeout: "0s" is not above 0s: give a duration such as 10s`}},
		"out of range": {file: `max-batch: 0`,
			want: []string{`:1: max-batch: "0" is out of range: give 1 or more`}},
		"no port": {file: `server: netpold`,
			want: []string{`:1: server: "netpold" names no server: missing port in address: give HOST:PORT`}},
		"negative": {file: `max-streams: -1`,
			want: []string{`max-streams: "-1" is not a whole number from 0`}},
		"number for text": {file: "listen: 9480",
			want: []string{`:1: listen: 9480 is not a string: put it in quotes`}},
		"duration without a unit": {file: "max-deadline: 30",
			want: []string{`max-deadline: "30" is not a duration: give a number with a unit`}},
		"text for a truth value": {file: "tls: maybe",
			want: []string{`tls: "maybe" is not a truth value: give true or false`}},
		"none of the words": {file: "log-level: loud",
			want: []string{`log-level: "loud" is none of its values: give debug, info, warn or error`}},
		"an empty path": {file: `manifests: ""`,
			want: []string{`:1: manifests: "" is no path: give a file, a directory, or - for`}},
		"an empty path in a list": {file: `manifests: [a, ""]`, want: []string{`:1: manifests: "" is no path`}},
		"an empty list": {file: `manifests: []`,
			want: []string{`:1: manifests: an empty list: give a path, or leave the key out`}},
		"no path in a list": {file: `manifests: [a, 7]`,
			want: []string{`:1: manifests: item 2: 7 is not a string: put it in quotes`}},
		"a path too many": {env: []string{"NETPOLD_MANIFESTS=a::b"},
			want: []string{`NETPOLD_MANIFESTS: "" is no path`}},
		"list":          {file: "listen: [a, b]", want: []string{`:1: listen: a list or mapping: give one value`}},
		"no value":      {file: "listen:", want: []string{`:1: listen: no value: give one, or leave the key out`}},
		"twice":         {file: "listen: a:1\nlisten: b:1", want: []string{`:2: listen is given twice`}},
		"not a mapping": {file: "- listen", want: []string{`:1: not a mapping`}},
		"not YAML":      {file: "listen: [", want: []string{`netpold.yaml: not YAML: `}},
		"two documents": {file: "listen: a:1\n---\nlisten: b:1", want: []string{`a second document`}},
		"several": {
			file: "a-b-c-d-e: 1\nmax-batch: x\nlog-format: xml",
			env:  []string{"NETPOLD_MAX_STREAMS=x"},
			want: []string{`:1: unknown key "a-b-c-d-e"`, `:2: max-batch: "x"`, `:3: log-format: "xml"`,
				`NETPOLD_MAX_STREAMS: "x"`},
		},
		"environment": {env: []string{"NETPOLD_DRAIN_DELAY=soon"},
			want: []string{`NETPOLD_DRAIN_DELAY: "soon" is not a duration`}},
		"empty environment": {env: []string{"NETPOLD_MAX_BATCH="},
			want: []string{`NETPOLD_MAX_BATCH: "" is not a whole number`}},
		"no such file": {env: []string{"NETPOLD_CONFIG=/nowhere/netpold.yaml"},
			want: []string{`NETPOLD_CONFIG /nowhere/netpold.yaml: no such file or directory; give`}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.New()
			if test.file != "" {
				parse(t, c, "--config", writeFile(t, test.file))
			}
			_, err := c.Load(test.env)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error\n%v\ndoes not say\n%s", err, want)
				}
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(test.want) {
				t.Errorf("error has %d lines, want %d:\n%v", got, len(test.want), err)
			}
		})
	}
}

// TestHiddenValuesMustBeRight proves that an invalid value is an error even if a flag overrides it.
func TestHiddenValuesMustBeRight(t *testing.T) {
	c := config.New()
	parse(t, c, "--max-batch=7")
	if _, err := c.Load([]string{"NETPOLD_MAX_BATCH=x"}); err == nil ||
		!strings.Contains(err.Error(), "NETPOLD_MAX_BATCH") {
		t.Errorf("error is %v, want one about NETPOLD_MAX_BATCH", err)
	}
	if _, err := c.Load([]string{"NETPOLD_MAX_BATCH=8"}); err != nil || c.Server.MaxBatch != 7 {
		t.Errorf("MaxBatch is %d (%v), want the flag's 7", c.Server.MaxBatch, err)
	}
}

func TestEmptyConfigFileIsNone(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n"} {
		c := config.New()
		parse(t, c, "--config", writeFile(t, text))
		if _, err := c.Load(nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestEmptyStringIsAValue proves that an empty value counts: it turns the admin pages off.
func TestEmptyStringIsAValue(t *testing.T) {
	c := config.New()
	if _, err := c.Load([]string{"NETPOLD_ADMIN_LISTEN="}); err != nil || c.Server.AdminListen != "" {
		t.Errorf("AdminListen is %q (%v), want it empty", c.Server.AdminListen, err)
	}
}

// TestVariablesOfKubernetes proves that variables are ignored that Kubernetes sets in Pods beside a Service
// called netpold or netpold-server.
func TestVariablesOfKubernetes(t *testing.T) {
	env := []string{
		"NETPOLD_SERVICE_HOST=10.96.0.7", "NETPOLD_SERVICE_PORT=9480", "NETPOLD_SERVICE_PORT_GRPC=9480",
		"NETPOLD_PORT=tcp://10.96.0.7:9480", "NETPOLD_PORT_9480_TCP=tcp://10.96.0.7:9480",
		"NETPOLD_PORT_9480_TCP_PROTO=tcp",
		"NETPOLD_PORT_9480_TCP_PORT=9480", "NETPOLD_PORT_9480_TCP_ADDR=10.96.0.7",
		"NETPOLD_SERVER_SERVICE_HOST=10.96.0.8", "NETPOLD_SERVER_PORT=tcp://10.96.0.8:9480",
		"NETPOLD_SERVER_PORT_9480_TCP_ADDR=x",
	}
	warnings, err := config.New().Load(env)
	if err != nil || len(warnings) > 0 {
		t.Errorf("Load: %v, warnings %q", err, warnings)
	}
	// None of them may ever be a setting.
	all(config.New(), func(flag *pflag.Flag) {
		warnings, err := config.New().Load([]string{config.EnvName(flag.Name) + "X=1"})
		if err != nil || len(warnings) != 1 {
			t.Errorf("%sX: %v, warnings %q; want one warning", config.EnvName(flag.Name), err, warnings)
		}
		if regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)`).MatchString(config.EnvName(flag.Name)) {
			t.Errorf("--%s: %s is what Kubernetes sets for Services", flag.Name, config.EnvName(flag.Name))
		}
	})
}

func TestUnknownVariableIsAWarning(t *testing.T) {
	for variable, meant := range map[string]string{
		"MAX_BACH": "MAX_BATCH", "MANIFEST": "MANIFESTS", "LISTNE": "LISTEN", "TLS_KEYS": "TLS_KEY",
		"ADMINLISTEN": "ADMIN_LISTEN", "LOGLEVEL": "LOG_LEVEL",
		"FOO": "", "URL": "", "HOST": "", "TOKEN": "", "IMAGE": "", "DEBUG": "", "VERSION": "", "REPLICAS": "",
		"X": "", "": "", "HOME": "", "LOG": "",
	} {
		warnings, err := config.New().Load([]string{"NETPOLD_" + variable + "=1", "PATH=/bin", "NETPOLDX=1"})
		want := "NETPOLD_" + variable + " is ignored, for it is no setting"
		if meant != "" {
			want += ": did you mean NETPOLD_" + meant + "?"
		}
		if diff := cmp.Diff([]string{want}, warnings); err != nil || diff != "" {
			t.Errorf("Load: %v; warnings (-want +got):\n%s", err, diff)
		}
	}
}

// FuzzConfigFile proves that no file makes Load panic, and that errors name the file.
func FuzzConfigFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:0\nmax-batch: 7\n")
	f.Add("a: &x 1\nmax-batch: *x\n")
	f.Add("[")
	f.Add("? {a: b}\n: c")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "netpold.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.New().Load([]string{"NETPOLD_CONFIG=" + path})
		if err != nil && !strings.HasPrefix(err.Error(), path) {
			t.Errorf("error %q does not begin with the file", err)
		}
	})
}
