package server

import "github.com/netpold/netpold/server/internal/proxied"

// DenyDetail says how much a denial tells the client behind a proxy.
type DenyDetail string

// The values of [DenyDetail]; empty is DenyNone. Each tells more than the one before.
const (
	// DenyNone tells the decision's id alone, and so nothing of the cluster.
	DenyNone DenyDetail = "none"
	// DenyReason also tells which side denied.
	DenyReason DenyDetail = "reason"
	// DenyPolicy also tells the policies that isolate that side.
	DenyPolicy DenyDetail = "policy"
)

// proxied returns the detail as doors take it.
func (d DenyDetail) proxied() proxied.DenyDetail {
	switch d {
	case DenyReason:
		return proxied.TellReason
	case DenyPolicy:
		return proxied.TellPolicy
	default:
		return proxied.TellNothing
	}
}
