package cli

import (
	"context"
	"slices"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
)

// flowHeader returns the header of an audit, and when the newest policy was created; zero if that is not known.
// The error is a gRPC status.
func (inv *invocation) flowHeader(ctx context.Context, asker asker) (*netpoldv1.AuditHeader, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, inv.config.Client.Timeout)
	defer cancel()
	// All of it is told by one answer, so it is of one snapshot.
	st, err := inv.statusOf(ctx, asker)
	for err == nil && (!st.GetReady() || isStale(st)) {
		// It fails if there is no state to answer from.
		if _, err = asker.BatchAllowed(ctx, &netpoldv1.BatchAllowedRequest{}); err != nil || st.GetReady() {
			break
		}
		st, err = inv.statusOf(ctx, asker)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return &netpoldv1.AuditHeader{
		Revision: st.GetRevision(), Token: st.GetToken(), Stale: isStale(st),
		SnapshotTime: st.GetPublished(), Source: st.GetSource(), Objects: st.GetObjects(),
		IpblockMatchesPods: st.GetSwitches()["ipblock-matches-pods"] == "true",
	}, timeOf(st.GetNewestPolicyCreated()), nil
}

// statusOf returns the status of what answers.
func (inv *invocation) statusOf(ctx context.Context, asker asker) (*netpoldv1.GetStatusResponse, error) {
	if near, ok := asker.(local); ok {
		return decisions.NewStatus(near.source, readBuild().Version, nil).GetStatus(ctx, &netpoldv1.GetStatusRequest{})
	}
	return inv.asked.Status(ctx)
}

// isStale reports whether answers would say that they are stale.
func isStale(st *netpoldv1.GetStatusResponse) bool {
	return slices.ContainsFunc(st.GetResources(), (*netpoldv1.ResourceStatus).GetStale)
}
