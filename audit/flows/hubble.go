package flows

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netpold/netpold/engine"
)

// hubbleReader reads a line of "hubble observe -o json", or of Hubble's exporter: {"flow":{...}}, another
// event such as {"lost_events":{...}}, or the bare flow of older releases. Keys are those of protojson, as in
// the proto or in lowerCamel, and enums names or numbers.
type hubbleReader struct {
	scanner
	names *names
	rec   *Record
	flow  hubbleFlow
}

// hubbleFlow is what a flow says beside its Record.
type hubbleFlow struct {
	ports                bool // Some protocol with ports is named.
	syn, ack             bool
	isReply, reply, told bool // told reports whether is_reply is there.
	dropped, policy      bool
	notL4                bool
}

// read fills rec by a line.
func (h *hubbleReader) read(line []byte, rec *Record) {
	h.reset(line)
	h.rec, h.flow = rec, hubbleFlow{}
	wrapped := false
	var around time.Time
	for more := h.enter('{', '}'); more; more = h.next('}') {
		key := h.key()
		switch {
		case string(key) == "flow":
			rec.reset(rec.File, rec.Line)
			h.flow = hubbleFlow{}
			wrapped = true
			for more := h.object("flow"); more; more = h.next('}') {
				h.field(h.key())
			}
		case string(key) == "time":
			around = h.time()
		case wrapped:
			h.skip()
		default:
			h.field(key)
		}
	}
	h.end()
	if rec.Time.IsZero() {
		rec.Time = around
	}
	h.judge()
}

// judge decides what the record is (F2) and what it observed.
func (h *hubbleReader) judge() {
	rec, f := h.rec, &h.flow
	if f.dropped && f.policy {
		rec.Observed = ObservedDenied
	}
	switch {
	case h.problem != "":
		rec.malformed(h.problem)
	case !rec.Src.IP.IsValid() || !rec.Dst.IP.IsValid():
		rec.Why = NotAFlow
	case f.notL4 || !f.ports || rec.Port == 0:
		rec.Why = NotL4
	case f.isReply, !f.told && (f.reply || rec.Protocol == engine.TCP && f.syn && f.ack):
		rec.Why = Reply
	}
}

func (h *hubbleReader) field(key []byte) {
	rec, f := h.rec, &h.flow
	switch string(key) {
	case "time":
		rec.Time = h.time()
	case "verdict":
		h.verdict()
	case "drop_reason", "dropReason", "drop_reason_desc", "dropReasonDesc":
		switch string(h.scalar("drop_reason")) {
		case "POLICY_DENIED", "POLICY_DENY", "133", "181":
			f.policy = true
		}
	case "IP":
		for more := h.object("IP"); more; more = h.next('}') {
			switch string(h.key()) {
			case "source":
				rec.Src.IP = h.address("IP.source")
			case "destination":
				rec.Dst.IP = h.address("IP.destination")
			default:
				h.skip()
			}
		}
	case "l4":
		for more := h.object("l4"); more; more = h.next('}') {
			h.transport(h.key())
		}
	case "source":
		h.endpoint("source", &rec.Src)
	case "destination":
		h.endpoint("destination", &rec.Dst)
	case "Type":
		switch string(h.scalar("Type")) {
		case "L7", "SOCK", "2", "3":
			f.notL4 = true
		}
	case "traffic_direction", "trafficDirection":
		switch string(h.scalar("traffic_direction")) {
		case "EGRESS", "2":
			rec.Direction = AtEgress
		case "INGRESS", "1":
			rec.Direction = AtIngress
		}
	case "is_reply", "isReply":
		f.isReply, f.told = h.flag("is_reply")
	case "reply":
		f.reply, _ = h.flag("reply")
	case "egress_allowed_by", "egressAllowedBy", "ingress_allowed_by", "ingressAllowedBy":
		rec.AllowedBy = h.policies(rec.AllowedBy)
	case "egress_denied_by", "egressDeniedBy", "ingress_denied_by", "ingressDeniedBy":
		rec.DeniedBy = h.policies(rec.DeniedBy)
	default:
		h.skip()
	}
}

func (h *hubbleReader) verdict() {
	rec := h.rec
	rec.Observed, h.flow.dropped = NotObserved, false
	switch string(h.scalar("verdict")) {
	case "FORWARDED", "REDIRECTED", "1", "5":
		rec.Observed = ObservedAllowed
	case "AUDIT", "4":
		rec.Observed = ObservedDenied
	case "DROPPED", "2":
		h.flow.dropped = true
	}
}

// transport reads a member of l4.
func (h *hubbleReader) transport(key []byte) {
	p := engine.TCP
	switch string(key) {
	case "TCP":
	case "UDP":
		p = engine.UDP
	case "SCTP":
		p = engine.SCTP
	default:
		h.skip()
		return
	}
	if h.peek() == 'n' {
		h.skip()
		return
	}
	h.rec.Protocol, h.rec.Port, h.flow.ports = p, 0, true
	for more := h.object("l4"); more; more = h.next('}') {
		switch string(h.key()) {
		case "destination_port", "destinationPort":
			h.rec.Port = h.port()
		case "flags":
			for more := h.object("l4.TCP.flags"); more; more = h.next('}') {
				switch string(h.key()) {
				case "SYN":
					h.flow.syn, _ = h.flag("l4.TCP.flags.SYN")
				case "ACK":
					h.flow.ack, _ = h.flag("l4.TCP.flags.ACK")
				default:
					h.skip()
				}
			}
		default:
			h.skip()
		}
	}
}

func (h *hubbleReader) port() uint16 {
	text := h.scalar("l4.destination_port")
	if text == nil {
		return 0
	}
	n, ok := number(text, 65535)
	if !ok && h.problem == "" {
		h.reject(portProblem("l4.destination_port", text))
	}
	return uint16(n)
}

// address reads an address. An empty text, as protojson has for an unset field, is none.
func (h *hubbleReader) address(field string) netip.Addr {
	text := h.scalar(field)
	if len(text) == 0 {
		return netip.Addr{}
	}
	addr, ok := address(h.names.text(text))
	if !ok && h.problem == "" {
		h.reject(fmt.Sprintf("%s: %s is not an IPv4 or IPv6 address; write it like \"10.0.3.7\" or \"2001:db8::7\"",
			field, quotedBytes(text)))
	}
	return addr
}

func (h *hubbleReader) endpoint(field string, end *End) {
	end.Namespace, end.Pod = "", ""
	for more := h.object(field); more; more = h.next('}') {
		switch string(h.key()) {
		case "namespace":
			end.Namespace = h.names.text(h.scalar("namespace"))
		case "pod_name", "podName":
			end.Pod = h.names.text(h.scalar("pod_name"))
		default:
			h.skip()
		}
	}
}
