package cli

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An announcement is what a starting server prints about itself.
type announcement struct {
	version, source, addr, adminAddr string
	// allowed and denied are questions to try; nil for none.
	allowed, denied *example
	// unread means that no question is answered yet.
	unread bool
	// secured means that the server uses TLS, so that a client needs more options.
	secured bool
	// adminTLS means that the admin pages do too.
	adminTLS bool
	// checkout means that the commands run from the project's source, with nothing installed.
	checkout bool
}

// text returns the announcement for people. Every line can be pasted into a shell.
func (a *announcement) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# netpold %s serves %s\n", a.version, a.source)
	fmt.Fprintf(&b, "#   gRPC   %s\n", a.addr)
	if a.adminAddr != "" {
		scheme := "http"
		if a.adminTLS {
			scheme = "https"
		}
		fmt.Fprintf(&b, "#   admin  %s://%s/  metrics, healthz, readyz\n", scheme, dialable(a.adminAddr))
	}
	if a.unread {
		b.WriteString("# It answers nothing before the cluster is read whole.\n")
		if !a.secured {
			fmt.Fprintf(&b, "#\n# To see how far it is, paste this into another terminal:\n%s status --server %s\n",
				a.netpold(), dialable(a.addr))
		}
	}
	grpcurl, check := a.tries()
	if grpcurl == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "#\n# To try it, paste this into another terminal. It will answer %s:\n%s\n",
		grpcurl.answerFields(), a.grpcurl(grpcurl))
	fmt.Fprintf(&b, "#\n# Or this. It will answer\n%s\n%s\n", check.answerText(), a.check(check))
	return b.String()
}

// tries returns the questions for grpcurl and for netpold check.
func (a *announcement) tries() (grpcurl, check *example) {
	switch {
	case a.allowed == nil:
		return a.denied, a.denied
	case a.denied == nil:
		return a.allowed, a.allowed
	default:
		return a.allowed, a.denied
	}
}

func (a *announcement) grpcurl(e *example) string {
	tool := "grpcurl"
	if a.checkout {
		tool = "go tool -modfile=tools/go.mod grpcurl"
	}
	question, err := compactJSON(e.question, false)
	if err != nil {
		return ""
	}
	target := dialable(a.addr)
	if path, ok := strings.CutPrefix(target, "unix://"); ok {
		target = "-unix " + path
	}
	return fmt.Sprintf("%s -plaintext -d '%s' %s netpold.v1.DecisionService/Allowed", tool, question, target)
}

// netpold returns the command that runs the program.
func (a *announcement) netpold() string {
	if a.checkout {
		return "go run ./cmd/netpold"
	}
	return "netpold"
}

func (a *announcement) check(e *example) string {
	protocol := ""
	if p := e.protocol(); p != "TCP" {
		protocol = " --protocol " + strings.ToLower(p)
	}
	return fmt.Sprintf("%s check --server %s %s %s -p %d%s", a.netpold(), dialable(a.addr),
		netpold.FormatEndpoint(e.question.GetSrc()), netpold.FormatEndpoint(e.question.GetDst()),
		e.question.GetPort(), protocol)
}

// protocol returns the name of the question's protocol.
func (e *example) protocol() string {
	if p := e.question.GetProtocol(); p != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
		return strings.TrimPrefix(p.String(), "PROTOCOL_")
	}
	return "TCP"
}

// answerFields returns the main fields of the answer as JSON. JSON leaves out allowed if it is false.
func (e *example) answerFields() string {
	if e.answer.GetAllowed() {
		return fmt.Sprintf(`"allowed": true, "reason": %q`, e.answer.GetReason())
	}
	return fmt.Sprintf(`"reason": %q, and no "allowed", which is to say denied`, e.answer.GetReason())
}

// answerText returns the answer as check prints it, as comments for a shell.
func (e *example) answerText() string {
	text := answerText(e.question, e.answer)
	return "#   " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n#   ")
}

// dialable returns the address of a listener for a client on this machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// inCheckout reports whether the working directory is the project's source.
func inCheckout() bool {
	module, err := os.ReadFile("go.mod")
	if err != nil || !bytes.HasPrefix(module, []byte("module github.com/netpold/netpold\n")) {
		return false
	}
	_, err = os.Stat("tools/go.mod")
	return err == nil
}
