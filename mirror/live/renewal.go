package live

import (
	"bytes"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/connrotation"
)

// A renewal makes the client use credentials renewed on disk as soon as the API server refuses the old ones.
// client-go alone reloads tokens every minute and client certificates every five.
type renewal struct {
	files  []string
	dialer *connrotation.Dialer

	mu      sync.Mutex
	seen    [][]byte  // the last content of files
	renewed time.Time // when it last changed
}

// renewalTime is how long after a renewal new connections may still use the old certificate. client-go caches
// what it read for a second.
const renewalTime = 30 * time.Second

// renew changes c to use renewed credentials, and returns the renewal.
func renew(c *rest.Config) *renewal {
	if c.BearerTokenFile != "" {
		c.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(c.BearerTokenFile)))
		c.BearerToken, c.BearerTokenFile = "", ""
	}
	r := &renewal{}
	if c.CertFile == "" || c.KeyFile == "" || len(c.CertData) > 0 || len(c.KeyData) > 0 || c.Transport != nil {
		return r
	}
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	r.files = []string{c.CertFile, c.KeyFile}
	r.dialer = connrotation.NewDialer(connrotation.DialFunc(dial))
	r.seen = r.read()
	c.Dial = r.dialer.DialContext
	return r
}

func (r *renewal) read() [][]byte {
	all := make([][]byte, len(r.files))
	for i, f := range r.files {
		all[i], _ = os.ReadFile(f) // the next refusal tries again
	}
	return all
}

// handleRefusal closes all connections if the client certificate has just been renewed: new ones use the new
// certificate. Otherwise connections stay, because open watches need no new authentication.
func (r *renewal) handleRefusal() {
	if r.dialer == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.read(); !slices.EqualFunc(now, r.seen, bytes.Equal) {
		r.seen, r.renewed = now, time.Now()
	}
	if time.Since(r.renewed) < renewalTime {
		r.dialer.CloseAll()
	}
}
