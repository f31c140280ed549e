package otlpenv

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A variable is one of the environment that the exporters read. They go on without one that is wrong, and what is
// exported would go to the wrong place. So wrong ones are errors.
type variable struct {
	name string
	// wrong returns what to give in place of a value; "" for a right one.
	wrong func(value string) string
	// secret reports whether the value must not be repeated.
	secret bool
}

var variables = []variable{
	{"ENDPOINT", wrongEndpoint, false},
	{"TIMEOUT", positive("milliseconds, such as 10000"), false},
	{"COMPRESSION", oneOf("gzip", "none"), false},
	{"INSECURE", lower(oneOf("true", "false")), false},
	{"HEADERS", wrongHeaders, true},
	{"CERTIFICATE", wrongCertificate, false},
	{"CLIENT_CERTIFICATE", unreadable, false},
	{"CLIENT_KEY", unreadable, false},
}

// tracing has the variables that are about traces alone, by their whole names.
var tracing = []variable{
	{"OTEL_TRACES_EXPORTER", func(v string) string {
		if v == "otlp" {
			return ""
		}
		return "give otlp; for no traces leave out --tracing"
	}, false},
	{"OTEL_TRACES_SAMPLER", lower(oneOf("always_on", "always_off", "traceidratio", "parentbased_always_on",
		"parentbased_always_off", "parentbased_traceidratio")), false},
	{"OTEL_TRACES_SAMPLER_ARG", func(v string) string {
		if share, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err != nil || !(share >= 0 && share <= 1) {
			return "give a share from 0 to 1, such as 0.01"
		}
		return ""
	}, false},
	{"OTEL_BSP_SCHEDULE_DELAY", positive("milliseconds, such as 5000"), false},
	{"OTEL_BSP_EXPORT_TIMEOUT", positive("milliseconds, such as 30000"), false},
	{"OTEL_BSP_MAX_QUEUE_SIZE", positive("a number of spans, such as 2048"), false},
	{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", positive("a number of spans, such as 512"), false},
}

// wrongVariables returns what is wrong in the environment of s.
func wrongVariables(s Signal) error {
	var all []error
	for _, prefix := range []string{allSignals, s.prefix()} {
		for _, v := range variables {
			all = append(all, v.check(prefix+v.name))
		}
		all = append(all, wrongPair(prefix))
	}
	if s == Traces {
		for _, v := range tracing {
			all = append(all, v.check(v.name))
		}
	}
	return errors.Join(all...)
}

// check returns what is wrong with the value that the environment has for v under name.
func (v *variable) check(name string) error {
	value := os.Getenv(name)
	if value == "" {
		return nil
	}
	switch remedy := v.wrong(value); {
	case remedy == "":
		return nil
	case v.secret:
		return fmt.Errorf("%s: %s", name, remedy)
	default:
		return fmt.Errorf("%s %q: %s", name, value, remedy)
	}
}

// wrongEndpoint asks for a URL. "localhost:4317", without http://, would mean the scheme localhost and no host.
func wrongEndpoint(value string) string {
	u, err := url.Parse(value)
	if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return ""
	}
	return "give a URL such as http://collector:4318"
}

// positive asks for a whole number above 0, of what.
func positive(what string) func(string) string {
	return func(value string) string {
		if n, err := strconv.Atoi(value); err != nil || n <= 0 {
			return "give " + what
		}
		return ""
	}
}

func oneOf(words ...string) func(string) string {
	last := len(words) - 1
	return func(value string) string {
		if slices.Contains(words, value) {
			return ""
		}
		return "give " + strings.Join(words[:last], ", ") + " or " + words[last]
	}
}

// lower returns wrong for values in any case.
func lower(wrong func(string) string) func(string) string {
	return func(value string) string { return wrong(strings.ToLower(strings.TrimSpace(value))) }
}

func wrongHeaders(value string) string {
	for pair := range strings.SplitSeq(value, ",") {
		name, text, found := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(text); !found || strings.TrimSpace(name) == "" || err != nil {
			return "give NAME=VALUE pairs with commas between them, values as in a URL"
		}
	}
	return ""
}

func wrongCertificate(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	switch {
	case err != nil:
		return err.Error() + "; give a file with certificates as PEM"
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		return "it has no certificate; give a file with certificates as PEM"
	}
	return ""
}

func unreadable(path string) string {
	if _, err := os.ReadFile(path); err != nil { //nolint:gosec // the operator names it
		return err.Error() + "; give a file with PEM"
	}
	return ""
}

// wrongPair returns what is wrong with a client certificate and its key together.
func wrongPair(prefix string) error {
	names := prefix + "CLIENT_CERTIFICATE, " + prefix + "CLIENT_KEY"
	cert, key := os.Getenv(prefix+"CLIENT_CERTIFICATE"), os.Getenv(prefix+"CLIENT_KEY")
	if (cert == "") != (key == "") {
		return fmt.Errorf("%s: give both or none", names)
	}
	if cert == "" || unreadable(cert) != "" || unreadable(key) != "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return fmt.Errorf("%s: %w; give a certificate and its key", names, err)
	}
	return nil
}
