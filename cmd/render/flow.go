package render

import (
	"strconv"
	"time"

	"github.com/netpold/netpold/proto/jsontext"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A FlowLine is a record of flows with the names of what its ends turned out to be.
type FlowLine struct {
	*netpoldv1.Flow
	// SrcName and DstName are Pods, Nodes, Services, or what the record says itself.
	SrcName, DstName string
	// Moved has the Pods that the record names, of one that was not compared because of them.
	Moved []string
}

// AppendFlow appends {"flow":...} and a line feed to b: the same JSON as [JSONLine] of a FlowAudit, many times
// faster. The details of an error are left out.
func AppendFlow(b []byte, f *netpoldv1.Flow) []byte {
	w := jsonWriter(append(b, `{"flow":{`...))
	w.number("line", uint64(f.GetLine()))
	w.text("file", f.GetFile())
	if t := f.GetTime(); t != nil {
		w = appendTime(append(w, `"time":"`...), t.AsTime())
		w = append(w, `",`...)
	}
	w.text("src", f.GetSrc())
	w.text("dst", f.GetDst())
	w.number("port", uint64(f.GetPort()))
	w.plain("protocol", netpoldv1.Protocol_name[int32(f.GetProtocol())])
	w.plain("observed", f.GetObserved())
	w.plain("direction", netpoldv1.Direction_name[int32(f.GetDirection())])
	w.bool("allowed", f.GetAllowed())
	w.plain("reason", netpoldv1.Reason_name[int32(f.GetReason())])
	w.side("egress", f.GetEgress())
	w.side("ingress", f.GetIngress())
	w.plain("compared", f.GetCompared())
	w.plain("why", f.GetWhy())
	w = append(w, `"revision":"`...)
	w = append(strconv.AppendUint(w, f.GetRevision(), 10), `",`...)
	if st := f.GetError(); st != nil {
		w = append(w, `"error":{"code":`...)
		w = append(strconv.AppendInt(w, int64(st.GetCode()), 10), ',')
		w.text("message", st.GetMessage())
		w = append(w, `"details":[]},`...)
	}
	w.list("observedAllowedBy", f.GetObservedAllowedBy())
	w.list("observedDeniedBy", f.GetObservedDeniedBy())
	w[len(w)-1] = '}' // in place of the last comma
	return append(w, "}\n"...)
}

// A jsonWriter appends fields of a JSON object, each with a comma behind it. Names of fields need no escapes.
type jsonWriter []byte

func (w *jsonWriter) name(name string) { *w = append(append(append(*w, '"'), name...), `":`...) }

func (w *jsonWriter) number(name string, n uint64) {
	w.name(name)
	*w = append(strconv.AppendUint(*w, n, 10), ',')
}

func (w *jsonWriter) bool(name string, value bool) {
	w.name(name)
	*w = append(strconv.AppendBool(*w, value), ',')
}

// plain writes a text that needs no escapes.
func (w *jsonWriter) plain(name, value string) {
	w.name(name)
	*w = append(append(append(*w, '"'), value...), `",`...)
}

func (w *jsonWriter) text(name, value string) {
	w.name(name)
	*w = append(jsontext.AppendString(*w, value), ',')
}

func (w *jsonWriter) list(name string, values []string) {
	w.name(name)
	*w = append(jsontext.AppendStrings(*w, values), ',')
}

func (w *jsonWriter) side(name string, s *netpoldv1.Side) {
	if s == nil {
		return
	}
	w.name(name)
	*w = append(jsontext.AppendSide(*w, s), ',')
}

// appendTime appends a time as protojson writes it: in UTC, with no, 3, 6 or 9 digits behind the second.
func appendTime(b []byte, t time.Time) []byte {
	const whole = "2006-01-02T15:04:05"
	layout := whole + ".000000000Z"
	switch n := t.Nanosecond(); {
	case n == 0:
		layout = whole + "Z"
	case n%1_000_000 == 0:
		layout = whole + ".000Z"
	case n%1_000 == 0:
		layout = whole + ".000000Z"
	}
	return t.UTC().AppendFormat(b, layout)
}
