package wire

import (
	"net/netip"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/notes"
)

// FillDetails writes the details of a decision: the notes of the state, and d.
func FillDetails(r *netpoldv1.AllowedResponse, d *engine.Details, ofState []notes.Note) {
	r.Src, r.Dst = resolved(&d.Src), resolved(&d.Dst)
	r.Port, r.Protocol = uint32(d.Port), protocols.proto(d.Protocol)
	all := slices.Clip(ofState)
	for i := range d.Notes {
		if note := noteOf(d, &d.Notes[i]); !slices.Contains(all, note) { // both ends may have the same
			all = append(all, note)
		}
	}
	r.Notes = Notes(all)
}

func resolved(r *engine.Resolved) *netpoldv1.Resolved {
	to := &netpoldv1.Resolved{
		Kind: resolvedKinds.proto(r.Kind), Namespace: r.Namespace, Name: r.Name, Node: r.Node,
		Ip: addrText(r.IP), IpFamily: ipFamilies.proto(r.Family),
		Created: Timestamp(r.Created), NewestPolicy: Timestamp(r.NewestPolicy),
	}
	if r.Workload.Name != "" {
		to.Workload = &netpoldv1.WorkloadRef{Namespace: r.Namespace, Kind: r.Workload.Kind, Name: r.Workload.Name}
	}
	if r.Service != nil {
		to.Service = &netpoldv1.ServiceRef{Namespace: r.Service.Namespace, Name: r.Service.Name}
	}
	return to
}

// Timestamp returns a time in Unix seconds as the wire has it; nil for 0, which is not known.
func Timestamp(seconds int64) *timestamppb.Timestamp {
	if seconds == 0 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: seconds}
}

func addrText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}
