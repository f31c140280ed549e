package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/netpold/netpold/audit/flows"
	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/clients/hubble"
	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// hubbleFlags say which Hubble an audit follows. Server is empty if files are read.
type hubbleFlags struct{ config.Client }

// add adds the flags, which are those of --server with a prefix.
func (h *hubbleFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&h.Server, "hubble", "", "instead of FILEs, follow the flows of Hubble Relay at `HOST:PORT`")
	f.BoolVar(&h.TLS, "hubble-tls", false, "use TLS for Hubble; implied by the flags below")
	f.StringVar(&h.CA, "hubble-tls-ca", "",
		"PEM `FILE` with the authorities of Hubble's certificate [the system's]")
	f.StringVar(&h.Cert, "hubble-tls-client-cert", "", "PEM `FILE` with the certificate to show to Hubble")
	f.StringVar(&h.Key, "hubble-tls-client-key", "", "PEM `FILE` with its key")
	f.StringVar(&h.ServerName, "hubble-tls-server-name", "",
		"`NAME` that Hubble's certificate must have [the host of --hubble]")
}

// hubbleFlag is the prefix of the flags of TLS.
const hubbleFlag = "hubble-tls"

// usage returns what is wrong with the flags; nil if nothing is.
func (h *hubbleFlags) usage(cmd *cobra.Command, files []string) error {
	given := cmd.Flags().Changed
	if !given("hubble") {
		if h.Secure() {
			return usageError(cmd, "--%s and the like go with --hubble: give --hubble HOST:PORT, or leave them out",
				hubbleFlag)
		}
		return nil
	}
	if err := netpold.CheckTarget(h.Server); err != nil {
		return usageError(cmd, "--hubble %q: %v", h.Server, err)
	}
	if len(files) > 0 {
		return usageError(cmd, "--hubble and FILEs exclude each other: leave one of them out")
	}
	for _, flag := range []string{"format", "columns", "delimiter"} {
		if given(flag) {
			return usageError(cmd, "--hubble and --%s exclude each other: Hubble's flows have one form", flag)
		}
	}
	return nil
}

// A hubbleSource follows a Hubble until it is stopped.
type hubbleSource struct {
	*hubble.Flows
	// reading is held by Next, and by close.
	reading sync.Mutex
	next    func() (flows.Record, error)
	stop    context.CancelFunc
}

// openHubble connects to the Hubble of the flags. The source ends when ctx does, as a file does.
func (inv *invocation) openHubble(
	ctx context.Context, h *hubbleFlags, window flows.Window,
) (*hubbleSource, error) {
	options := hubble.Options{
		Target: h.Server, Since: window.Since, Until: window.Until, Timeout: inv.config.Client.Timeout,
		Event: func(e hubble.Event) { inv.notice("--hubble %s: %s", h.Server, e) },
	}
	if h.Secure() {
		var err error
		if options.TLS, err = tlsConfigOf(&h.Client, hubbleFlag); err != nil {
			return nil, err
		}
	}
	followed, err := hubble.Open(ctx, options)
	if err != nil {
		return nil, h.failed(err)
	}
	s := &hubbleSource{Flows: followed}
	ctx, s.stop = context.WithCancel(ctx)
	s.next = func() (flows.Record, error) {
		r, err := followed.Next(ctx)
		switch {
		case ctx.Err() != nil && err != nil:
			return r, io.EOF
		case err != nil && !isEnd(err):
			return r, h.failed(err)
		}
		return r, err
	}
	return s, nil
}

// Next implements [flowSource].
func (s *hubbleSource) Next(r *flows.Record) (err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	*r, err = s.next()
	return err
}

func (s *hubbleSource) close() {
	s.stop()
	s.reading.Lock()
	defer s.reading.Unlock()
	s.Close()
}

func (s *hubbleSource) progress() (records, done, total int64) {
	return int64(min(s.Counts().Records, 1<<62)), 0, 0 //nolint:gosec // it is not larger
}

// tellsDrops implements [flowSource].
func (*hubbleSource) tellsDrops() bool { return true }

func (*hubbleSource) failures() []error { return nil }

// summarize adds what a summary of followed flows has beyond that of files.
func (s *hubbleSource) summarize(m *netpoldv1.FlowSummary) {
	counts := s.Counts()
	m.LostEvents, m.Reconnects = counts.Lost, counts.Reconnects
}

// failed returns why flows are not followed, and what to do.
func (h *hubbleFlags) failed(err error) error {
	failure, ok := errors.AsType[*hubble.Error](err)
	if !ok {
		return fmt.Errorf("--hubble %s: %w", h.Server, err)
	}
	remedy := ""
	switch failure.Code {
	case codes.Unavailable:
		remedy = "is Hubble Relay there, and with TLS or without as here (--hubble-tls)? 'kubectl -n kube-system " +
			"port-forward service/hubble-relay 4245:80' makes it 127.0.0.1:4245"
	case codes.DeadlineExceeded:
		remedy = "something is there but does not answer within --timeout: is it Hubble Relay, and ready?"
	case codes.Unimplemented:
		remedy = "this is no Hubble: give the address of Hubble Relay, the Service kube-system/hubble-relay"
	case codes.Unauthenticated, codes.PermissionDenied:
		remedy = "does it want a certificate (--hubble-tls-client-cert, --hubble-tls-client-key)?"
	default:
		remedy = "what does the log of Hubble Relay say?"
	}
	return fmt.Errorf("--hubble %s: cannot be followed: %w: %s", h.Server, err, remedy)
}
