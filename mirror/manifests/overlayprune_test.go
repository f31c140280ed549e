package manifests

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/mirror"
)

// TestPruneCountsEveryKind proves that the namespaces to prune are those of all objects, of kinds that play no
// part too, and that such objects leave the machine by their namespace alone.
func TestPruneCountsEveryKind(t *testing.T) {
	const service = "{apiVersion: v1, kind: Service, metadata: {name: z, namespace: shop}, spec: {ports: [{port: 1}]}}"
	tests := map[string]struct {
		files []string
		want  []string // policies that are pruned; nil for an error
	}{
		"beside an object":     {[]string{"{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: other}}\n---\n" + service}, []string{"other/old", "shop/deny"}},
		"alone":                {[]string{"{apiVersion: v1, kind: Secret, metadata: {name: x, namespace: other}, data: {a: aGlkZGVu}}"}, []string{"other/old"}},
		"in a file of its own": {[]string{service, "{apiVersion: v1, kind: Secret, metadata: {name: x, namespace: other}, data: {a: aGlkZGVu}}"}, []string{"other/old", "shop/deny"}},
		"of an extension":      {[]string{"{apiVersion: example.org/v1, kind: Thing, metadata: {name: x, namespace: other}}"}, []string{"other/old"}},
		"in a List":            {[]string{"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: other}}]}"}, []string{"other/old"}},
		"without namespace":    {[]string{"{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}"}, []string{"default/d"}},
		"cluster-wide kinds":   {[]string{service, "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x, namespace: other}}"}, []string{"shop/deny"}},
		"only cluster-wide":    {[]string{"{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: x}}"}, nil},
		"nothing":              {[]string{"# empty"}, nil},
	}
	base := baseOf(t, overlaidCluster+
		"---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: d}, spec: {podSelector: {}}}\n")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, text := range test.files {
				if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".yaml"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			files, err := ReadOverlayFiles(context.Background(), Options{Paths: []string{dir}}, true)
			if (err != nil) != (test.want == nil) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			// As they are sent, without names of files.
			overlay := mirror.Overlay{Prune: true}
			for _, c := range files.Changes {
				overlay.Changes = append(overlay.Changes, mirror.OverlayChange{Apply: c.Apply})
				if strings.Contains(c.Apply, "aGlkZGVu") {
					t.Errorf("sent: %s", c.Apply)
				}
			}
			changes, _, err := ReadOverlay(base, &overlay, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range changes {
				if c.Delete {
					got = append(got, strings.TrimPrefix(brief(c), "-"))
				}
			}
			slices.Sort(got)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	// Without pruning, nothing of it plays a part.
	options := Options{Paths: []string{"-"}, Stdin: strings.NewReader(tests["alone"].files[0])}
	if files, err := ReadOverlayFiles(context.Background(), options, false); err == nil {
		t.Errorf("read %v", files.Changes)
	}
}
