package forwardauth

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRead proves that any query and chain is a question, or names what is wrong, and that no chain names a trusted
// proxy left of one that is not (P3, P14, P15).
func FuzzRead(f *testing.F) {
	proxies, err := ParseProxies("127.0.0.0/8,::1,10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{options: Options{Proxies: proxies, ClientHeader: "X-Forwarded-For"}}
	for _, query := range []string{
		"dst=svc/shop/cart&port=80", "dst=a/b&port=80&src=10.0.0.1&protocol=udp&require_known=src,dst&shadow=true", "&&=&%zz",
	} {
		f.Add(query, "1.2.3.4, 10.0.0.1:80\n[::1]:9")
	}
	f.Fuzz(func(t *testing.T, query, chain string) {
		header := strings.Split(chain, "\n")
		q, fail := s.read(query, header)
		if fail == nil {
			if q.Query.Port == 0 || !q.BadSource && !q.Query.Src.IP().IsValid() && q.Request.GetSrc() == nil {
				t.Fatalf("%q, %q is the question %v", query, chain, &q.Request)
			}
			_, alone := s.read(query, nil)
			if byHeader := alone != nil; byHeader && !q.BadSource && !proxies.Has(q.Query.Src.IP()) {
				if q.SrcByClient {
					t.Fatalf("%q: the client may have written what a trusted proxy wrote", chain)
				}
				right, _ := s.read(query, []string{"255.255.255.254, " + strings.Join(header, ",")})
				if right.Query.Src != q.Query.Src {
					t.Fatalf("%q: what is left of the client counts: %v", chain, right.Query.Src)
				}
			}
			return
		}
		if len(fail.Violations) == 0 {
			t.Fatalf("%q: %v", query, fail.Message)
		}
		for _, v := range fail.Violations {
			if v.GetField() == "" || v.GetDescription() == "" || !utf8.ValidString(v.GetField()+v.GetDescription()) {
				t.Fatalf("%q: %v", query, v)
			}
		}
	})
}
