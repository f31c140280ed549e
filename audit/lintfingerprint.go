package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// fingerprint returns that of a finding with this content (N3).
func fingerprint(f *Finding, content []string) string {
	h := sha256.New()
	words := append([]string{
		string(f.Code), fmt.Sprint(f.Policy.Kind), f.namespace(), f.Policy.Name, f.Direction.String(),
		f.Workload.Kind, f.Workload.Name,
	}, content...)
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// contentOfRule returns the content of a rule. The order of its entries does not count.
func contentOfRule(r *engine.Rule) string {
	peers, ports := contentOfPeers(r.Peers), []string(nil)
	for i := range r.Ports {
		ports = append(ports, portWords(&r.Ports[i]))
	}
	slices.Sort(ports)
	return fmt.Sprintf("%q %q", peers, ports)
}

// contentOfPeers returns the content of each peer, sorted.
func contentOfPeers(peers []engine.Peer) []string {
	list := make([]string, len(peers))
	for i := range peers {
		list[i] = contentOfPeer(&peers[i])
	}
	slices.Sort(list)
	return list
}

// contentOfPeer returns the content of a peer.
func contentOfPeer(p *engine.Peer) string {
	var b strings.Builder
	for _, part := range []struct {
		name     string
		selector *engine.Selector
	}{{"namespaces", p.Namespaces}, {"pods", p.Pods}, {"nodes", p.Nodes}} {
		if part.selector != nil {
			fmt.Fprintf(&b, "%s %q ", part.name, labelWords(*part.selector))
		}
	}
	if p.Block != nil {
		except := make([]string, len(p.Block.Except))
		for i, e := range p.Block.Except {
			except[i] = e.String()
		}
		slices.Sort(except)
		fmt.Fprintf(&b, "block %s %q", p.Block.CIDR, except)
	}
	return b.String()
}
