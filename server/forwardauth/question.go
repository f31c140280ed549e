package forwardauth

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/netpold/netpold/proto/names"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/proxied"
	"github.com/netpold/netpold/server/internal/wire"
)

// A parameter of the query (P14).
type parameter uint8

const (
	paramSrc parameter = iota
	paramDst
	paramPort
	paramProtocol
	paramRequireKnown
	paramShadow
	paramCount
)

// paramNames has the parameters as they are written.
var paramNames = [paramCount]string{"src", "dst", "port", "protocol", "require_known", "shadow"}

func (p parameter) String() string { return paramNames[p] }

// A value is that of a parameter. given is false without one, and for one that is wrong as it is written.
type value struct {
	text         string
	given, wrong bool
}

// A reader reads a question.
type reader struct {
	proxied.Reader
	values [paramCount]value
}

// read turns a query, and the values of the header that names the client, into a question. It depends on nothing
// else but who is trusted. The failure names each parameter that is wrong; then only Shadow of the question counts. The
// question must be released.
func (s *Service) read(query string, header []string) (*proxied.Question, *wire.Failure) {
	q := proxied.TakeQuestion()
	q.Src, q.Dst = paramSrc.String(), paramDst.String()
	r := reader{Reader: proxied.Reader{PortField: paramPort.String(), ProtocolField: paramProtocol.String()}}
	r.query(query)
	if text, given := r.value(paramShadow); given {
		q.Shadow = r.Flag(paramShadow.String(), text)
	}
	if text, given := r.required(paramDst, "svc/shop/cart"); given && !q.SetDst(text) {
		q.Request.Dst = r.Endpoint(q.Dst, text, "")
	}
	if text, given := r.required(paramPort, "8080"); given {
		q.Request.Port = r.Port(r.PortField, text)
	}
	q.Request.Protocol = netpoldv1.Protocol_PROTOCOL_TCP
	if text, given := r.value(paramProtocol); given {
		q.Request.Protocol = r.Protocol(r.ProtocolField, text)
	}
	if text, given := r.value(paramRequireKnown); given {
		r.Known(q, paramRequireKnown.String(), text)
	}
	s.source(&r, q, header)
	r.Resolve(q)
	return q, r.Failure()
}

// source reads the source: the parameter, or else the client of the proxy.
func (s *Service) source(r *reader, q *proxied.Question, header []string) {
	text, given := r.value(paramSrc)
	switch {
	case given:
		q.Request.Src = r.Endpoint(q.Src, text, "")
	case r.Rejected(q.Src):
	case len(header) == 0:
		r.Reject(q.Src, "is not given, and the request has no header %s, which would name the client: let the proxy set "+
			"it, or write src into the query", s.options.ClientHeader)
	default:
		c := s.options.Proxies.client(header)
		if q.BadSource, q.SrcByClient = !c.ok, c.forgeable; c.ok {
			q.SetSrc(c.ip, c.text)
		}
	}
}

// query reads the parameters of a query.
func (r *reader) query(query string) {
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawText, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			r.Reject("query", "%s is no name of a parameter: %v", wire.Quote(rawName), err)
			continue
		}
		p := parameter(max(slices.Index(paramNames[:], name), 0))
		v := &r.values[p]
		switch text, err := url.QueryUnescape(rawText); {
		case p.String() != name:
			r.unknown(name)
		case err != nil:
			v.wrong = true
			r.Reject(name, "%s is no text of a query: %v", wire.Quote(rawText), err)
		case v.given && !v.wrong:
			v.wrong = true
			r.Reject(name, "is given more than once; give it once")
		default:
			v.text, v.given = text, true
		}
	}
}

// unknown rejects a parameter that does not exist.
func (r *reader) unknown(name string) {
	near := ""
	if meant := names.Nearest(name[:min(len(name), 40)], slices.Values(paramNames[:])); meant != "" {
		near = "did you mean " + meant + "? "
	}
	r.Reject("query", "%s is no parameter; %sthe parameters are %s", wire.Quote(name), near,
		strings.Join(paramNames[:], ", "))
}

// value returns the value of a parameter, if it has one.
func (r *reader) value(p parameter) (text string, given bool) {
	v := &r.values[p]
	return v.text, v.given && !v.wrong
}

// required returns the value of a parameter that must have one.
func (r *reader) required(p parameter, example string) (text string, given bool) {
	if v := &r.values[p]; !v.given && !v.wrong {
		r.Reject(p.String(), "%s", fmt.Sprintf("is required; write it into the query, for example %v=%s", p, example))
	}
	return r.value(p)
}
