// Package propose makes NetworkPolicies of observed connections: the smallest rules that admit what was seen and
// what today's policies deny, or what nobody judges yet.
//
//	flow ─► pairs of workloads or addresses ─► rules by workload and direction ─► check
//
// It is pure: no I/O and no clock. A team goes by it from observed traffic to a first default-deny.
package propose
