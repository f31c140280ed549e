package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/manifests"
)

// evaluators are what a question is asked: netpold, and the oracle that it has to agree with.
type evaluators struct {
	snapshot *engine.Snapshot
	oracle   *enginetest.Oracle
}

// connect answers a command of the form "/agnhost connect --timeout=3s --protocol=tcp ADDRESS:PORT" in a Pod:
// nothing for a connection, TIMEOUT for none. Any other text is neither, so that the suite fails.
func (c *Cluster) connect(namespace, pod string, command []string) (stderr string) {
	q := enginetest.Question{Src: enginetest.Endpoint{Pod: &enginetest.Name{Namespace: namespace, Name: pod}}}
	allowed, err := false, parseConnect(command, &q)
	if err == nil {
		allowed, err = c.allowed(q)
	}
	switch {
	case err != nil:
		c.t.Errorf("%s in %s/%s: %v", command, namespace, pod, err)
		return err.Error()
	case !allowed:
		return "TIMEOUT"
	default:
		return ""
	}
}

// parseConnect reads protocol and destination of a command into q.
func parseConnect(command []string, q *enginetest.Question) error {
	if len(command) != 5 || command[0] != "/agnhost" || command[1] != "connect" {
		return fmt.Errorf("is no known command")
	}
	protocols := map[string]engine.Protocol{"tcp": engine.TCP, "udp": engine.UDP, "sctp": engine.SCTP}
	protocol, ok := protocols[strings.TrimPrefix(command[3], "--protocol=")]
	if !ok {
		return fmt.Errorf("%q is no known protocol", command[3])
	}
	dst, err := netip.ParseAddrPort(command[4])
	if err != nil {
		return err
	}
	q.Protocol, q.Port, q.Dst = protocol, dst.Port(), enginetest.Endpoint{IP: dst.Addr()}
	return nil
}

// allowed returns netpold's answer, which the oracle has to give too.
func (c *Cluster) allowed(q enginetest.Question) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		asked, err := c.read(context.Background())
		if err != nil {
			return false, err
		}
		c.asked = asked
	}
	got, gotErr := c.asked.snapshot.Allowed(q.Query())
	want, wantErr := c.asked.oracle.Allowed(q)
	if diff := enginetest.Diff(got, gotErr, want, wantErr); diff != "" {
		return false, fmt.Errorf("engine and oracle differ: %s", diff)
	}
	if gotErr == nil {
		c.verdicts[got.Allowed]++
	}
	return got.Allowed, gotErr
}

// read gives netpold the objects as files. A warning is an error: the suite has nothing to warn of.
func (c *Cluster) read(ctx context.Context) (*evaluators, error) {
	var text bytes.Buffer
	for _, kind := range c.kinds {
		list := new(unstructured.UnstructuredList)
		list.SetGroupVersionKind(kind)
		if err := c.store.List(ctx, list); err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			text.WriteString("---\n")
			if err := json.NewEncoder(&text).Encode(item.Object); err != nil {
				return nil, err
			}
		}
	}
	result, err := manifests.Read(ctx, manifests.Options{Paths: []string{"-"}, Stdin: &text})
	if err != nil {
		return nil, err
	}
	if r := result.Report; len(r.Problems) > 0 || len(r.Ignored) > 0 || len(r.Unmodelled) > 0 {
		return nil, fmt.Errorf("problems %v, ignored %v, unmodelled %v", r.Problems, r.Ignored, r.Unmodelled)
	}
	changes := make([]engine.Change, len(result.Objects))
	for i, o := range result.Objects {
		changes[i].Object = o
	}
	return &evaluators{
		snapshot: engine.NewCluster(engine.Options{}).Apply(changes...),
		oracle:   &enginetest.Oracle{Objects: result.Objects},
	}, nil
}
