package wire

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// noEndpointText returns why a Service has no endpoint to choose, and what to do (S24).
func noEndpointText(b *engine.Backing) string {
	switch {
	case b.Absent > 0 && b.NotReady == 0:
		return absentText(b)
	case b.NotReady > 0:
		text := counted(b.NotReady, "its Pod is not ready", "its %d Pods are not ready") +
			namedPods(b.Unready, b.NotReady)
		if b.Absent > 0 {
			text += "; " + absentText(b)
		}
		return text
	case b.OtherFamily > 0:
		return fmt.Sprintf("its endpoints have no address of the family that was asked; ask svc/%s/%s",
			b.Service.Namespace, b.Service.Name)
	case b.Portless > 0 && b.Target != "":
		text := fmt.Sprintf("no Pod has a port named %s", b.Target)
		if len(b.PortNames) > 0 {
			text += "; the Pods that its selector matches have " + strings.Join(b.PortNames, ", ")
		}
		return text
	case b.Portless > 0 && b.PortName != "":
		return fmt.Sprintf("its EndpointSlices have no port named %s", b.PortName)
	case b.Portless > 0:
		return "its EndpointSlices do not have that port"
	}
	return noPodsText(b)
}

// noPodsText returns why no EndpointSlice has an endpoint.
func noPodsText(b *engine.Backing) string {
	switch selector := selectorText(b.Service.Selector); {
	case selector == "" && b.Slices == 0:
		return "it has no selector and no EndpointSlice; give its EndpointSlices, or ask the addresses behind it"
	case selector == "":
		return "it has no selector, and its EndpointSlices have no endpoint"
	case b.Selected == 0 && b.Partial:
		return fmt.Sprintf("no EndpointSlice of it has an endpoint; does its selector %s match a Pod of "+
			"namespace %s?",
			selector, b.Service.Namespace)
	case b.Selected == 0:
		return fmt.Sprintf("its selector %s matches no Pod of namespace %s", selector, b.Service.Namespace)
	case b.Finished == b.Selected:
		return counted(b.Finished, "the one Pod that its selector matches has finished",
			"all %d Pods that its selector matches have finished")
	}
	matches := counted(b.Selected, "its selector matches 1 Pod", "its selector matches %d Pods")
	if b.Slices == 0 {
		return matches + ", but no EndpointSlice of it was read; give its EndpointSlices"
	}
	return matches + ", but its EndpointSlices have no endpoint"
}

func absentText(b *engine.Backing) string {
	return counted(b.Absent, "its EndpointSlices name a Pod that is not there with that address",
		"its EndpointSlices name %d Pods that are not there with those addresses") +
		namedPods(b.AbsentPods, b.Absent) + "; give these Pods too"
}

// counted returns one if n is 1, and otherwise n and several.
func counted(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(several, n)
}

// namedPods returns a colon and the first of n Pods.
func namedPods(first []string, n int) string {
	if len(first) == 0 {
		return ""
	}
	return ": " + listed(first, n)
}

// selectorText returns a Service's selector as kubectl writes it. Example: "app=cart,tier=front".
func selectorText(selector map[string]string) string {
	pairs := make([]string, 0, len(selector))
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		pairs = append(pairs, key+"="+selector[key])
	}
	return strings.Join(pairs, ",")
}
