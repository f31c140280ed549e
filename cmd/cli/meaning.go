package cli

import (
	"maps"
	"slices"

	"github.com/netpold/netpold/cmd/config"
)

// meaningText returns the meaning that decisions follow, with the switches that are not at their defaults; ""
// for the meaning of the API. Example: "like cilium, --own-node-exempt=false".
func meaningText(like string, switches map[string]string) string {
	text := ""
	if like != "" && like != config.Kubernetes {
		text = "like " + like
	}
	usual := config.New().Meaning().Switches
	for _, name := range slices.Sorted(maps.Keys(switches)) {
		if switches[name] == usual[name] {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += "--" + name + "=" + switches[name]
	}
	return text
}
