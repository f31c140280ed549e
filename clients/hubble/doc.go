// Package hubble follows the flows that Hubble, Cilium's observer, sees in a cluster: over the gRPC of Hubble
// Relay or of one node's agent. It yields them as records of package flows.
//
//	flows, err := hubble.Open(ctx, hubble.Options{Target: "hubble-relay.kube-system.svc:80"})
//	...
//	defer flows.Close()
//	for {
//		record, err := flows.Next(ctx)
//		...
//	}
//
// It is the only package that knows Cilium's messages, and takes nothing of Cilium but them.
//
// # When a connection breaks
//
// Hubble numbers nothing: its only cursor is a time. A new connection asks for flows since the last one of
// the node that is farthest behind, which repeats some. Those are recognized by their UUID or, from Hubble
// before 1.13, by their whole content, and left out. So nothing is lost or repeated as long as each node
// still holds what it saw meanwhile, by default its last 4095 flows. Hubble does not tell what it no longer
// holds.
package hubble
