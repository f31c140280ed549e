package access

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/authz"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// maxAllowed bounds what is remembered of one policy.
const maxAllowed = 4096

// verdicts is a policy, and which certificates it has let call what. Applying a policy costs a tenth of what Allowed
// does; a certificate keeps its address for as long as its connection is open. It is safe for concurrent use.
type verdicts struct {
	policy *authz.StaticInterceptor
	// lasting means that the policy looks at nothing but certificates and methods.
	lasting bool
	allowed sync.Map // of asked
	count   atomic.Int64
}

// An asked is all that the verdict of a lasting policy depends on.
type asked struct {
	cert   *x509.Certificate
	method string
}

func newVerdicts(policy *authz.StaticInterceptor, content []byte) *verdicts {
	return &verdicts{policy: policy, lasting: !looksFurther(content)}
}

// apply returns the error of the policy for the call of ctx; nil if it allows the call.
func (v *verdicts) apply(ctx context.Context, method string) error {
	question := asked{certificateOf(ctx), method}
	remember := v.lasting && question.cert != nil
	if remember {
		if _, ok := v.allowed.Load(question); ok {
			return nil
		}
	}
	_, err := v.policy.UnaryInterceptor(ctx, nil, nil, nothing)
	if err == nil && remember && v.count.Add(1) <= maxAllowed {
		v.allowed.Store(question, struct{}{})
	}
	return err //nolint:wrapcheck // its code is looked at
}

// full reports whether nothing more is remembered.
func (v *verdicts) full() bool { return v.count.Load() > maxAllowed }

// certificateOf returns the verified certificate of a caller; nil if there is none.
func certificateOf(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.PeerCertificates) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0]
}

// looksFurther reports whether a policy has a key by which it looks at headers, or tells of each call.
func looksFurther(content []byte) bool {
	var policy any
	if json.Unmarshal(content, &policy) != nil {
		return true
	}
	return hasFurther(policy)
}

func hasFurther(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			switch strings.ToLower(key) {
			case "headers", "audit_logging_options":
				return true
			}
			if hasFurther(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if hasFurther(inner) {
				return true
			}
		}
	}
	return false
}
