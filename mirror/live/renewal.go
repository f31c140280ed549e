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

// renewal sees to it that credentials which were renewed on disk are used as soon as the API server refuses the old ones.
// client-go reads tokens again every minute and client certificates every five.
type renewal struct {
	files  []string
	dialer *connrotation.Dialer

	mu      sync.Mutex
	seen    [][]byte  // what was in files
	renewed time.Time // when that was new
}

// renewalTime is how long after a renewal connections may still be made with the old certificate: client-go remembers what it
// read, for a second.
const renewalTime = 30 * time.Second

// renew changes how the API server is reached.
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
		all[i], _ = os.ReadFile(f) // what can not be read now is looked at again at the next refusal
	}
	return all
}

// refused ends all connections if the client certificate has just been renewed: the next ones are made with it. Otherwise they
// stay, as open watches go on without being asked who they are.
func (r *renewal) refused() {
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
