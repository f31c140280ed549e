//go:build linux

package hostile

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The workloads of the cluster, StatefulSets in the namespace shop. Of cart, web alone may reach port 8080, and nobody
// another one.
var workloads = []struct {
	name string
	net  string
	pods int
}{{"web", "10.1.0.0", 300}, {"cart", "10.2.0.0", 300}, {"db", "10.3.0.0", 300}}

// policyFile is the file of the cluster that has its policy.
const policyFile = "policy.yaml"

const policy = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 8080}]
`

// writeCluster writes the cluster as manifests, in a folder of its own.
func writeCluster(t *testing.T) (dir string) {
	t.Helper()
	text := &strings.Builder{}
	text.WriteString("---\n" + `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}` + "\n")
	for _, w := range workloads {
		writePods(text, w.name, w.net, w.pods)
	}
	dir = t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "cluster.yaml"), []byte(text.String()), 0o600),
		os.WriteFile(filepath.Join(dir, policyFile), []byte(policy), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writePods writes the Pods of a StatefulSet, with the addresses that follow one.
func writePods(text *strings.Builder, workload, net string, n int) {
	ip := netip.MustParseAddr(net)
	for i := range n {
		ip = ip.Next()
		fmt.Fprintf(text, "---\n"+`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s-%d","namespace":"shop",`+
			`"labels":{"app":%q},"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":%q,"uid":"u",`+
			`"controller":true}]},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","podIPs":[{"ip":%q}]}}`+"\n",
			workload, i, workload, workload, ip)
	}
}

// A question has an answer that is known.
type question struct {
	request *netpoldv1.AllowedRequest
	allowed bool
}

// questions returns the questions of the innocent: by address, by name and by workload.
func questions() (all []question) {
	ask := func(src, dst *netpoldv1.Endpoint, port uint32, allowed bool) {
		all = append(all, question{&netpoldv1.AllowedRequest{Src: src, Dst: dst, Port: port}, allowed})
	}
	for i := range 20 {
		web, cart, db := netpold.Pod("shop", fmt.Sprintf("web-%d", i)), netpold.Pod("shop", fmt.Sprintf("cart-%d", i)),
			netpold.Pod("shop", fmt.Sprintf("db-%d", i))
		ask(web, cart, 8080, true)
		ask(web, cart, 9090, false)
		ask(db, cart, 8080, false)
		ask(cart, db, 5432, true)
		byIP := func(net string) *netpoldv1.Endpoint {
			return netpold.IP(netip.MustParseAddr(fmt.Sprintf("%s.%d", strings.TrimSuffix(net, ".0"), i+1)).String())
		}
		ask(byIP("10.1.0.0"), byIP("10.2.0.0"), 8080, true)
		ask(byIP("10.3.0.0"), byIP("10.2.0.0"), 8080, false)
		ask(netpold.IP("192.0.2.1"), cart, 8080, false)
	}
	return all
}
