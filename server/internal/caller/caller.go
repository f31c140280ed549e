// Package caller says who a caller is.
package caller

import (
	"context"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Certified returns who the client certificate is for: its URI, else its DNS name, else its subject. It is empty
// without mutual TLS.
func Certified(auth credentials.AuthInfo) string {
	info, ok := auth.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.PeerCertificates) == 0 {
		return ""
	}
	switch cert := info.State.PeerCertificates[0]; {
	case len(cert.URIs) > 0:
		return cert.URIs[0].String()
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	default:
		return cert.Subject.String()
	}
}

// Principal returns who the certificate of a call is for; empty without mutual TLS.
func Principal(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	return Certified(p.AuthInfo)
}
