package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// labelledWords returns a Pod that need not exist in the words of check, with labels sorted. Two such Pods are
// one if their words are equal. Example: "shop?app=web,tier=front#http=8080,dns=53/UDP,ip=10.0.0.9".
func labelledWords(p *engine.LabelledPod) string {
	labels := slices.Sorted(maps.Keys(p.Labels))
	for i, key := range labels {
		labels[i] = key + "=" + p.Labels[key]
	}
	var more []string
	for _, port := range p.Ports {
		text := fmt.Sprintf("%s=%d", port.Name, port.Port)
		if port.Protocol != engine.TCP {
			text += "/" + port.Protocol.String()
		}
		more = append(more, text)
	}
	if p.IP.IsValid() {
		more = append(more, "ip="+p.IP.Unmap().String())
	}
	words := p.Namespace + "?" + strings.Join(labels, ",")
	if len(more) > 0 {
		words += "#" + strings.Join(more, ",")
	}
	return words
}
