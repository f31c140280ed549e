package live_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"

	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/live"
)

// An overHTTP serves the API server in memory over HTTP, in protobuf or JSON.
type overHTTP struct {
	server *apiServer
	json   bool
	codecs serializer.CodecFactory

	mu     sync.Mutex
	tokens []string // bearer tokens received
	agents string
	token  string // the accepted token; empty for all
	cert   string // the accepted common name; empty for all
}

func newOverHTTP(t *testing.T, s *apiServer) *overHTTP {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme,
		discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return &overHTTP{server: s, codecs: serializer.NewCodecFactory(scheme)}
}

func (h *overHTTP) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	h.mu.Lock()
	bearer := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
	h.tokens, h.agents = append(h.tokens, bearer), q.UserAgent()
	refused := h.token != "" && bearer != h.token
	if h.cert != "" {
		refused = q.TLS.PeerCertificates[0].Subject.CommonName != h.cert
	}
	h.mu.Unlock()
	if refused {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if q.URL.Path == "/apis" || strings.HasPrefix(q.URL.Path, "/apis/"+convert.ClusterPolicyGroup) {
		if text, err := h.server.discover(q.Context(), q.URL.Path); err == nil {
			w.Header().Set("Content-Type", runtime.ContentTypeJSON)
			_, _ = w.Write(text)
			return
		}
	}
	mediaType := runtime.ContentTypeProtobuf
	if h.json {
		mediaType = runtime.ContentTypeJSON
	}
	info, _ := runtime.SerializerInfoForMediaType(h.codecs.SupportedMediaTypes(), mediaType)
	name := q.URL.Path[strings.LastIndexByte(q.URL.Path, '/')+1:]
	resource := h.server.resources[name]
	prefix := map[string]string{"networkpolicies": "/apis/networking.k8s.io/v1/",
		"endpointslices": "/apis/discovery.k8s.io/v1/"}[name]
	if prefix == "" {
		prefix = "/api/v1/"
	}
	if resource == nil || q.URL.Path != prefix+name ||
		!strings.HasPrefix(q.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	group := schema.GroupVersions{corev1.SchemeGroupVersion, networkingv1.SchemeGroupVersion,
		discoveryv1.SchemeGroupVersion, {Version: "v1"}}
	var o metav1.ListOptions
	if err := metav1.Convert_url_Values_To_v1_ListOptions(ptr(q.URL.Query()), &o, nil); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !o.Watch {
		list, err := h.server.list(q.Context(), resource, o)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		_ = h.codecs.EncoderForVersion(info.Serializer, group).Encode(list, w)
		return
	}
	events, err := h.server.watch(q.Context(), resource, o)
	if err != nil {
		refuse(w, err)
		return
	}
	defer events.Stop()
	w.Header().Set("Content-Type", mediaType)
	if !h.json {
		w.Header().Set("Content-Type", mediaType+";stream=watch")
	}
	w.(http.Flusher).Flush()
	frames := streaming.NewEncoder(info.StreamSerializer.NewFrameWriter(w),
		h.codecs.EncoderForVersion(info.StreamSerializer.Serializer, schema.GroupVersion{Version: "v1"}))
	inner := h.codecs.EncoderForVersion(info.Serializer, group)
	for e := range events.ResultChan() {
		var raw bytes.Buffer
		if err := inner.Encode(e.Object, &raw); err != nil {
			return
		}
		if err := frames.Encode(&metav1.WatchEvent{Type: string(e.Type),
			Object: runtime.RawExtension{Raw: raw.Bytes()}}); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func refuse(w http.ResponseWriter, err error) {
	refusal, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(int(refusal.ErrStatus.Code))
	_ = json.NewEncoder(w).Encode(refusal.ErrStatus)
}

func ptr[T any](v T) *T { return &v }

// until waits for a token, and returns a function that asks that state.
func until(t *testing.T, s *live.Source, token string) func(src, dst string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	state, err := s.Wait(ctx, token)
	if err != nil {
		t.Fatalf("%v: %+v", err, s.Status())
	}
	return func(src, dst string) bool { return allowed(t, state, src, dst) }
}

// TestOverHTTP proves that the calls follow the API, in protobuf and in JSON.
func TestOverHTTP(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		for _, plain := range []bool{false, true} {
			t.Run("json "+strconv.FormatBool(asJSON)+", plain lists "+strconv.FormatBool(plain), func(t *testing.T) {
				server := shop()
				server.faultAll(func(f *faults) { f.noStream = plain })
				h := newOverHTTP(t, server)
				h.json = asJSON
				front := serveTLS(t, h)
				config := filepath.Join(t.TempDir(), "config")
				write(t, config, kubeconfig(front.URL, "token: secret"))
				source := connect(t, config)
				ask := until(t, source, "")
				if !ask(web, db) || ask(job, db) {
					t.Error("wrong decisions")
				}
				ask = until(t, source, tokenFor(t, "networkpolicies",
					server.apply(allow("shop", "only-web", labels("app", "job")))))
				if ask(web, db) || !ask(job, db) {
					t.Error("the change is not seen")
				}
				ask = until(t, source, tokenFor(t, "networkpolicies", server.remove("networkpolicies", "shop/only-web")))
				if !ask(web, db) || !ask(job, db) {
					t.Error("the deletion is not seen")
				}
				if s := source.Status(); s.Source != "cluster "+front.URL || !s.Ready {
					t.Errorf("%+v", s)
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				if h.tokens[0] != "secret" || !strings.HasPrefix(h.agents, "netpold") {
					t.Errorf("%q as %q", h.tokens, h.agents)
				}
			})
		}
	}
}

// serveTLS serves HTTP/2 over TLS, as API servers do, until the test ends.
func serveTLS(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	front := httptest.NewUnstartedServer(h)
	front.EnableHTTP2 = true
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	front.StartTLS()
	t.Cleanup(front.Close)
	return front
}

// TestTokenRenewedOnDisk proves that a token file is reloaded when the API server refuses the old token.
func TestTokenRenewedOnDisk(t *testing.T) {
	server := shop()
	h := newOverHTTP(t, server)
	front := serveTLS(t, h)
	dir := t.TempDir()
	config, token := filepath.Join(dir, "config"), filepath.Join(dir, "token")
	write(t, token, "old")
	write(t, config, kubeconfig(front.URL, "tokenFile: "+token))
	h.token = "old"
	source := connect(t, config)
	until(t, source, "")
	write(t, token, "new")
	h.mu.Lock()
	h.token = "new"
	h.mu.Unlock()
	for _, r := range resources {
		server.breakWatches(r, nil)
	}
	ask := until(t, source, tokenFor(t, "networkpolicies",
		server.apply(allow("shop", "only-web", labels("app", "job")))))
	if ask(web, db) || !ask(job, db) {
		t.Error("the change is not seen")
	}
}

// certificate writes a client certificate and its key.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	write(t, filepath.Join(dir, "cert"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}

// TestCertificateRenewedOnDisk proves the same of client certificates, although some watches continue on the
// old connection.
func TestCertificateRenewedOnDisk(t *testing.T) {
	server := shop()
	h := newOverHTTP(t, server)
	front := serveTLS(t, h)
	dir := t.TempDir()
	certificate(t, dir, "old")
	config := filepath.Join(dir, "config")
	write(t, config, kubeconfig(front.URL,
		"client-certificate: "+filepath.Join(dir, "cert")+", client-key: "+filepath.Join(dir, "key")))
	h.cert = "old"
	source := connect(t, config)
	until(t, source, "")
	certificate(t, dir, "new")
	h.mu.Lock()
	h.cert = "new"
	h.mu.Unlock()
	server.breakWatches("networkpolicies", nil)
	ask := until(t, source, tokenFor(t, "networkpolicies",
		server.apply(allow("shop", "only-web", labels("app", "job")))))
	if ask(web, db) || !ask(job, db) {
		t.Error("the change is not seen")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func kubeconfig(server, user string) string {
	return `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "` +
		server + `", insecure-skip-tls-verify: true}}],
contexts: [{name: c, context: {cluster: c, user: u}}, {name: other, context: {cluster: c, user: nobody}}], users: [{name: u, user: {` + user + `}}]}`
}

// connect starts a source as the command does.
func connect(t *testing.T, config string) *live.Source {
	t.Helper()
	way, err := live.Connect(config, "")
	if err != nil {
		t.Fatal(err)
	}
	logged := &logs{}
	c := live.Config{REST: way, MaxStaleness: live.DefaultMaxStaleness}
	logged.to(&c)
	t.Cleanup(func() { // after the source has ended
		if n := logged.count("context canceled"); n > 0 {
			t.Errorf("its own end is logged as a failure %d times", n)
		}
	})
	return running(t, c)
}

func TestConnect(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	for _, path := range []string{config, os.DevNull + "/none"} {
		if _, err := live.Connect(path, ""); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	write(t, config, kubeconfig("https://127.0.0.1:6443", ""))
	if _, err := live.Connect(config, "nowhere"); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("%v", err)
	}
	way, err := live.Connect(config, "")
	if err != nil || way.Host != "https://127.0.0.1:6443" {
		t.Errorf("%+v, %v", way, err)
	}
	for _, c := range []live.Config{{}, {REST: way, ListerWatchers: newAPIServer().listerWatcher},
		{REST: way, MaxStaleness: -1}} {
		if _, err := live.New(c); err == nil {
			t.Errorf("%+v", c)
		}
	}
}
