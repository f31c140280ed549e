package manifests_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/manifests"
)

// TestWithoutUnreadLeavesNoSecret proves that what plays no part loses its content, in every form of a file,
// and that the rest means what it did: the same changes, warnings and places.
func TestWithoutUnreadLeavesNoSecret(t *testing.T) {
	const (
		namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a: b}}\n"
		secret    = "# hidden in front\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, " +
			"annotations: {x: hidden}}\nstringData:\n  p: hidden\n  q: |\n    ---hidden\n"
		odd = "apiVersion: v1\nkind: Node\nmetadata: {name: node-1, namespace: shop}\n"
	)
	for name, text := range map[string]string{
		"alone":         namespace + "---\n" + secret,
		"first":         secret + "---\n" + namespace + "---\n" + odd,
		"between":       namespace + "---\n" + secret + "...\n---\n---\n" + secret + "---\n" + odd,
		"without end":   namespace + "---\n" + strings.TrimSuffix(secret, "\n"),
		"CRLF":          strings.ReplaceAll(namespace+"---\n"+secret+"---\n"+odd, "\n", "\r\n"),
		"on the marker": namespace + "--- {apiVersion: v1, kind: Secret, metadata: {name: s}, data: {p: hidden}}\n---\n" + odd,
		"ConfigMap":     namespace + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {p: hidden}\n",
		"a typed list": namespace + "---\napiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: s}\n  data: {p: hidden}\n" +
			"---\n" + odd,
		"a list": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}, data: {p: hidden}}\n" +
			"- {apiVersion: v1, kind: Node, metadata: {name: node-1, namespace: shop}}\n",
		"JSON": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"p":"hidden"}}` + "\n" +
			`{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1","namespace":"shop"}}`,
		"JSON and YAML": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"p":"hidden"}}` + "\n---\n" + odd,
		"a kind that decides": namespace +
			"---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {x: hidden}\n",
		"a policy in text": namespace + "---\n" + secret + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n" +
			"  p: |\n    apiVersion: networking.k8s.io/v1\n    kind: NetworkPolicy\n",
	} {
		t.Run(name, func(t *testing.T) {
			short := manifests.FileWithoutUnread(text)
			if strings.Contains(short, "hidden") {
				t.Errorf("left of it:\n%s", short)
			}
			if again := manifests.FileWithoutUnread(short); strings.Count(again, "\n") != strings.Count(short, "\n") {
				t.Errorf("twice:\n%s\nonce:\n%s", again, short)
			}
			if diff := cmp.Diff(readOver(t, text), readOver(t, short)); diff != "" {
				t.Errorf("-whole +short:\n%s\n%s", diff, short)
			}
			if sent := overlayOfFile(t, text); sent != short {
				t.Errorf("a change of the file has\n%s\nwant\n%s", sent, short)
			}
		})
	}
	// What is read stays byte for byte.
	if got := manifests.FileWithoutUnread(namespace + "---\n" + odd); got != namespace+"---\n"+odd {
		t.Errorf("changed: %s", got)
	}
}

// overlayOfFile returns what the change of a file applies.
func overlayOfFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := manifests.ReadOverlayFiles(t.Context(), manifests.Options{Paths: []string{path}}, false)
	if err != nil || len(files.Changes) != 1 {
		t.Fatalf("%+v, %v", files, err)
	}
	return files.Changes[0].Apply
}

// readOver returns what laying a file over an empty state makes of it, as text.
func readOver(t *testing.T, text string) (out []string) {
	t.Helper()
	overlay := &mirror.Overlay{Changes: []mirror.OverlayChange{{Apply: text, File: "f.yaml"}}}
	changes, problems, err := manifests.ReadOverlay(engine.NewCluster(engine.Options{}).Snapshot(), overlay, manifests.Options{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, c := range changes {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	for _, p := range problems {
		out = append(out, fmt.Sprintf("%+v", p))
	}
	return out
}
