package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// execServer returns the part of an API server that runs a command in a Pod. Every command is an attempt to
// connect.
func (c *Cluster) execServer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/pods/{pod}/exec", func(w http.ResponseWriter, r *http.Request) {
		stderr := c.connect(r.PathValue("namespace"), r.PathValue("pod"), r.URL.Query()["command"])
		// A reply that does not arrive is a command that failed, of which the suite complains. An error can
		// also mean that the caller had heard all and left.
		_ = reply(w, r, stderr)
	})
	return mux
}

// reply sends what a command wrote to its standard error. Every output means that it failed.
func reply(w http.ResponseWriter, r *http.Request, stderr string) error {
	if _, err := httpstream.Handshake(r, w, []string{remotecommand.StreamProtocolV4Name}); err != nil {
		return err
	}
	opened := make(chan httpstream.Stream)
	done := r.Context().Done()
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replied <-chan struct{}) error {
		go func() {
			select {
			case <-replied:
				opened <- s
			case <-done:
			}
		}()
		return nil
	})
	if conn == nil {
		return errors.New("no connection for the streams")
	}
	defer func() { _ = conn.Close() }()

	streams := map[string]httpstream.Stream{}
	for len(streams) < 3 {
		select {
		case s := <-opened:
			streams[s.Headers().Get(corev1.StreamType)] = s
		case <-conn.CloseChan():
			return fmt.Errorf("closed after %d of 3 streams", len(streams))
		}
	}
	out, errs, end := streams[corev1.StreamTypeStdout], streams[corev1.StreamTypeStderr], streams[corev1.StreamTypeError]
	if out == nil || errs == nil || end == nil {
		return fmt.Errorf("streams %v", slices.Sorted(maps.Keys(streams)))
	}
	if _, err := io.WriteString(errs, stderr); err != nil {
		return err
	}
	if err := json.NewEncoder(end).Encode(exitStatus(stderr == "")); err != nil {
		return err
	}
	// The caller may leave when end is closed.
	for _, s := range []httpstream.Stream{out, errs, end} {
		if err := s.Close(); err != nil {
			return err
		}
	}
	<-conn.CloseChan()
	return nil
}

// exitStatus tells the caller how a command ended.
func exitStatus(ok bool) *metav1.Status {
	if ok {
		return &metav1.Status{Status: metav1.StatusSuccess}
	}
	return &metav1.Status{
		Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: remotecommand.ExitCodeCauseType, Message: "1"},
		}},
	}
}
