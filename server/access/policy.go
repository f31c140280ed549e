package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/authz"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netpold/netpold/server/internal/caller"
	"github.com/netpold/netpold/server/internal/metrics"
	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// lookInterval is how often the file of a policy is looked at (P35).
	lookInterval = 5 * time.Second
	// maxPolicyBytes is the largest file of a policy.
	maxPolicyBytes = 1 << 20
)

// A Policy is a file with a gRPC authorization policy (gRFC A43), which is followed as it changes. It is safe for
// concurrent use.
type Policy struct {
	*Guard
	path string
	log  *slog.Logger

	present atomic.Pointer[verdicts]

	// mu guards the rest.
	mu sync.Mutex
	// loaded is the content of present. rejected is the last change that was refused and why, so that it is logged once.
	loaded   []byte
	rejected string
	changed  chan struct{}
}

// NewPolicy reads the policy at path. A file that does not load is an error, which says what to give.
func NewPolicy(path string, log *slog.Logger, m *metrics.Metrics) (*Policy, error) {
	p := &Policy{path: path, log: log, changed: make(chan struct{})}
	p.Guard = newGuard(p, log, m)
	content, err := readPolicy(path)
	if err != nil {
		return nil, err
	}
	policy, err := parsePolicy(content)
	if err != nil {
		return nil, err
	}
	p.present.Store(newVerdicts(policy, content))
	p.loaded = content
	return p, nil
}

// Run follows the file until ctx ends. It looks whenever ticks says so; nil means every 5 s.
func (p *Policy) Run(ctx context.Context, ticks <-chan time.Time) {
	if ticks == nil {
		ticker := time.NewTicker(lookInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ticks:
			p.Look()
		case <-ctx.Done():
			return
		}
	}
}

// Look reads the file if it has changed. One that does not load is refused: it is logged and counted once, and the
// last good one stays.
func (p *Policy) Look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	content, err := readPolicy(p.path)
	if err == nil && bytes.Equal(content, p.loaded) {
		p.rejected = ""
		return
	}
	var policy *authz.StaticInterceptor
	if err == nil {
		policy, err = parsePolicy(content)
	}
	if err != nil {
		if rejected := err.Error() + "\n" + string(content); p.rejected != rejected {
			p.rejected = rejected
			p.metrics.AuthzReload(err)
			p.log.Error("changed policy of callers refused; the last good one stays in use", "file", p.path, "error", err)
		}
		return
	}
	p.present.Store(newVerdicts(policy, content))
	p.loaded, p.rejected = content, ""
	p.metrics.AuthzReload(nil)
	p.log.Info("policy of callers changed; open streams are judged by it too", "file", p.path)
	close(p.changed)
	p.changed = make(chan struct{})
}

// readPolicy returns the content of a regular file. Reading a pipe might never end.
func readPolicy(path string) ([]byte, error) {
	const remedy = "give a JSON file with a gRPC authorization policy"
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s", err, remedy)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file: " + remedy)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, remedy)
	}
	defer file.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxPolicyBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s", err, remedy)
	case len(content) > maxPolicyBytes:
		return nil, fmt.Errorf("it has more than %d bytes: name callers by a common prefix, as \"spiffe://TD/ns/NS/*\"",
			maxPolicyBytes)
	}
	return content, nil
}

// parsePolicy reads a policy. grpc would ignore what follows it.
func parsePolicy(content []byte) (*authz.StaticInterceptor, error) {
	const remedy = `give JSON as {"name": "...", "allow_rules": [{"name": "...", "source": {"principals": ["..."]}, ` +
		`"request": {"paths": ["/netpold.v1.DecisionService/*"]}}]}`
	if !json.Valid(content) {
		var any json.RawMessage
		err := json.Unmarshal(content, &any)
		return nil, fmt.Errorf("it is not one whole document of JSON: %w: %s", err, remedy)
	}
	policy, err := authz.NewStatic(string(content))
	if err != nil {
		return nil, fmt.Errorf("it is no gRPC authorization policy: %w: %s", err, remedy)
	}
	return policy, nil
}

// judge implements judge, by the certificate of the caller.
func (p *Policy) judge(ctx context.Context, method string) (string, *wire.Failure) {
	present := p.present.Load()
	err := present.apply(ctx, method)
	if present.full() {
		p.present.CompareAndSwap(present, &verdicts{policy: present.policy, lasting: present.lasting})
	}
	if err == nil {
		return "", nil
	}
	principal := caller.Principal(ctx)
	if status.Code(err) != codes.PermissionDenied {
		return principal, &wire.Failure{Code: codes.Unavailable, Reason: wire.ReasonAuthzUnavailable,
			Message: "the policy of callers could not be applied; this is a defect of netpold: its log has the error"}
	}
	if principal == "" {
		return "", unknownCaller("the caller shows no client certificate that names it")
	}
	return principal, notAllowed(fmt.Sprintf("the server's policy of callers (--authz-policy) does not allow %q to call "+
		"%s", principal, method))
}

var nothing grpc.UnaryHandler = func(context.Context, any) (any, error) { return nil, nil }

// again implements judge.
func (p *Policy) again() (<-chan struct{}, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed, 0
}
