// Package agree asks everything of one cluster in every way, and expects one answer.
package agree

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	"github.com/netpold/netpold/mirror/convert/converttest"
	"github.com/netpold/netpold/mirror/manifests"
)

// A cluster is manifests, and what they mean.
type cluster struct {
	dir      string
	objects  []engine.Object
	oracle   *enginetest.Oracle
	snapshot *engine.Snapshot
}

// newCluster writes a random cluster as manifests, without what the API server would refuse.
func newCluster(t *testing.T, seed uint64) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir()}
	random := enginetest.NewRandom(seed)
	if seed%2 == 0 {
		random.WithTiers()
	}
	objects := random.Cluster()
	written := make(map[string]bool, len(objects))
	for i, o := range objects {
		if p, ok := o.(*engine.ClusterPolicy); ok {
			o = converttest.ValidClusterPolicy(p)
		}
		data, err := json.Marshal(converttest.Object(o))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%03d.json", i)
		if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		written[name] = true
	}
	for len(written) > 0 {
		result, err := manifests.Read(t.Context(), manifests.Options{Paths: []string{c.dir}})
		if err == nil {
			c.take(result.Objects)
			return c
		}
		c.dropRefused(t, err, written)
	}
	t.Fatal("all of it is refused: nothing was asked")
	return nil
}

// dropRefused removes the files that have a problem.
func (c *cluster) dropRefused(t *testing.T, err error, written map[string]bool) {
	t.Helper()
	problems, ok := errors.AsType[*manifests.ProblemsError](err)
	if !ok {
		t.Fatal(err)
	}
	before := len(written)
	for _, p := range problems.Problems {
		name := filepath.Base(p.File)
		if p.Warning || !written[name] {
			continue
		}
		delete(written, name)
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if len(written) == before {
		t.Fatalf("problems of no file: %v", err)
	}
}

// take makes objects the cluster's.
func (c *cluster) take(objects []engine.Object) {
	c.objects = objects
	c.oracle = &enginetest.Oracle{Objects: objects}
	changes := make([]engine.Change, len(objects))
	for i, o := range objects {
		changes[i].Object = enginetest.Clone(o)
	}
	c.snapshot = engine.NewCluster(engine.Options{}).Apply(changes...)
}

// without returns the cluster without an object.
func (c *cluster) without(gone engine.Object) *cluster {
	rest := &cluster{}
	var objects []engine.Object
	for _, o := range c.objects {
		if o != gone {
			objects = append(objects, o)
		}
	}
	rest.take(objects)
	return rest
}

// pods returns the Pods that have not finished.
func (c *cluster) pods() []*engine.Pod {
	var list []*engine.Pod
	for _, o := range c.objects {
		if p, ok := o.(*engine.Pod); ok && !p.Finished {
			list = append(list, p)
		}
	}
	return list
}

// jsonLines returns the lines of a stream but the header, which names the source, and the summary, which tells the
// time that it took.
func jsonLines(t *testing.T, text string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) < 2 || !strings.HasPrefix(lines[0], `{"header":`) ||
		!strings.HasPrefix(lines[len(lines)-1], `{"summary":`) {
		t.Fatalf("A6: no header first and summary last:\n%s", text)
	}
	return strings.Join(lines[1:len(lines)-1], "\n")
}
