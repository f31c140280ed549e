package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// A variable is one of the environment that the exporters read. They go on without one that is wrong, and records
// would go to the wrong place. So wrong ones are errors.
type variable struct {
	name string
	// wrong returns what to give in place of a value; "" for a right one.
	wrong func(value string) string
	// secret reports whether the value must not be repeated.
	secret bool
}

var variables = []variable{
	{"ENDPOINT", wrongEndpoint, false},
	{"TIMEOUT", wrongTimeout, false},
	{"COMPRESSION", oneOf("gzip", "none"), false},
	{"INSECURE", func(v string) string { return oneOf("true", "false")(strings.ToLower(v)) }, false},
	{"HEADERS", wrongHeaders, true},
	{"CERTIFICATE", wrongCertificate, false},
	{"CLIENT_CERTIFICATE", unreadable, false},
	{"CLIENT_KEY", unreadable, false},
}

// The variables for all signals, and those for logs, which win.
var prefixes = []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_LOGS_"}

// wrongVariables returns what is wrong in the environment.
func wrongVariables() error {
	var all []error
	for _, prefix := range prefixes {
		for _, v := range variables {
			value := os.Getenv(prefix + v.name)
			if value == "" {
				continue
			}
			if remedy := v.wrong(value); remedy != "" && v.secret {
				all = append(all, fmt.Errorf("%s: %s", prefix+v.name, remedy))
			} else if remedy != "" {
				all = append(all, fmt.Errorf("%s %q: %s", prefix+v.name, value, remedy))
			}
		}
		all = append(all, wrongPair(prefix))
	}
	return errors.Join(all...)
}

// wrongEndpoint asks for a URL. "localhost:4317", without http://, would mean the scheme localhost and no host.
func wrongEndpoint(value string) string {
	u, err := url.Parse(value)
	if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return ""
	}
	return "give a URL such as http://collector:4318"
}

func wrongTimeout(value string) string {
	if n, err := strconv.Atoi(value); err != nil || n <= 0 {
		return "give milliseconds, such as 10000"
	}
	return ""
}

func oneOf(a, b string) func(string) string {
	return func(value string) string {
		if value != a && value != b {
			return fmt.Sprintf("give %s or %s", a, b)
		}
		return ""
	}
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
