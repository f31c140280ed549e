package extauthz

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/code"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/netpold/netpold/server/internal/proxied"
)

// response returns the CheckResponse of an outcome (P9). An outcome that is an error has one in shadow alone.
func (s *Service) response(q *question, o *proxied.Outcome, stands standing) *authv3.CheckResponse {
	r := &authv3.CheckResponse{Status: &spb.Status{}, DynamicMetadata: dynamicMetadata(o, stands)}
	passes := o.Shadow || o.Verdict() == proxied.Allowed
	if !passes {
		r.Status.Code = int32(code.Code_PERMISSION_DENIED)
	}
	switch {
	case !q.http:
	case passes:
		r.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}
	default:
		denied := &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden}, Body: o.Text(s.door.DenyDetail),
		}
		o.EachHeader(s.door.DenyDetail, func(name, value string) {
			denied.Headers = append(denied.Headers, &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: name, Value: value},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			})
		})
		r.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: denied}
	}
	return r
}

// dynamicMetadata returns what a proxy can write to its access log (P11). A field that does not apply is left
// out.
func dynamicMetadata(o *proxied.Outcome, stands standing) *structpb.Struct {
	fields := make(map[string]*structpb.Value, 8)
	text := func(name, value string) {
		if value != "" {
			fields[name] = structpb.NewStringValue(value)
		}
	}
	flag := func(name string, value bool) {
		if value {
			fields[name] = structpb.NewBoolValue(true)
		}
	}
	text("decision_id", o.DecisionID)
	text("verdict", string(o.Verdict()))
	text("reason", o.Reason())
	text("principal", string(stands))
	flag("shadow", o.Shadow)
	if o.Failure != nil && o.Denied == "" {
		text("code", code.Code(o.Failure.Code).String())
	}
	if r := o.Response; r != nil {
		text("egress_policy", r.GetEgress().GetPolicy())
		text("ingress_policy", r.GetIngress().GetPolicy())
	}
	if o.Revision != 0 {
		text("revision", strconv.FormatUint(o.Revision, 10))
	}
	flag("stale", o.Stale)
	return &structpb.Struct{Fields: fields}
}
