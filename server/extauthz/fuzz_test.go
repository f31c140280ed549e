package extauthz

import (
	"testing"
	"unicode/utf8"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// FuzzRead proves that any request either has a question or names what is wrong (P3, P7, P9).
func FuzzRead(f *testing.F) {
	f.Add([]byte{}, "netpold-src", "@header:x")
	f.Add([]byte("\n\x00"), "netpold-dst", "svc/shop/cart")
	f.Fuzz(func(t *testing.T, wire []byte, key, value string) {
		req := new(authv3.CheckRequest)
		if proto.Unmarshal(wire, req) != nil {
			return
		}
		q, fail := read(req, metadata.Pairs(key, value))
		if fail == nil {
			if !q.BadSource && !q.Query.Src.IP().IsValid() && q.Request.GetSrc() == nil || q.Query.Port == 0 {
				t.Fatalf("%v has the question %v", req, &q.Request)
			}
			return
		}
		if len(fail.Violations) == 0 {
			t.Fatalf("%v: %v", req, fail.Message)
		}
		for _, v := range fail.Violations {
			if v.GetField() == "" || v.GetDescription() == "" || !utf8.ValidString(v.GetField()+v.GetDescription()) {
				t.Fatalf("%v: %v", req, v)
			}
		}
	})
}
