package flows_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// object is a JSON object as encoding/json decodes it.
type object = map[string]any

// decodeObject decodes a line. plain is false for what the oracles do not judge: objects that have a key
// twice.
func decodeObject(line []byte) (o object, valid, plain bool) {
	if !json.Valid(line) {
		return nil, false, true
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false, true
	}
	if o, valid = v.(object); !valid {
		return nil, false, true
	}
	return o, true, !hasKeyTwice(line)
}

func hasKeyTwice(line []byte) bool {
	d := json.NewDecoder(bytes.NewReader(line))
	var open []map[string]bool // nil for an array.
	key := false
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if key {
			if name, ok := token.(string); ok {
				keys := open[len(open)-1]
				if keys[name] {
					return true
				}
				keys[name] = true
				key = false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		key = len(open) > 0 && open[len(open)-1] != nil
	}
}

// An oracle reads values slowly and plainly. bad reports whether some value is of the wrong kind.
type oracle struct{ bad bool }

// text returns a scalar as text; "" for none.
func (c *oracle) text(v any) string {
	switch v := v.(type) {
	case nil:
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	default:
		c.bad = true
	}
	return ""
}

func (c *oracle) object(v any) object {
	o, ok := v.(object)
	c.bad = c.bad || v != nil && !ok
	return o
}

func (c *oracle) array(v any) []any {
	a, ok := v.([]any)
	c.bad = c.bad || v != nil && !ok
	return a
}

// get returns the value of the first key that is there.
func get(o object, keys ...string) any {
	for _, key := range keys {
		if v, ok := o[key]; ok {
			return v
		}
	}
	return nil
}

func (c *oracle) port(v any) uint16 {
	text := c.text(v)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 16)
	c.bad = c.bad || err != nil || strings.HasPrefix(text, "+")
	return uint16(n)
}

func (c *oracle) flag(v any) (value, told bool) {
	switch text := c.text(v); {
	case v == nil:
		return false, false
	case text == "true", text == "false":
		return text == "true", true
	}
	c.bad = true
	return false, false
}

func (c *oracle) addr(v any) netip.Addr {
	text := c.text(v)
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	c.bad = c.bad || err != nil || addr.Zone() != ""
	return addr.Unmap()
}

// time returns RFC 3339. Other forms have tests of their own: they are skipped.
func (c *oracle) time(v any) time.Time {
	text, ok := v.(string)
	if v == nil || text == "" && ok {
		return time.Time{}
	}
	var t time.Time
	c.bad = t.UnmarshalText([]byte(text)) != nil || c.bad
	return t.UTC()
}

// hubbleOracle returns the record of a line of Hubble.
func hubbleOracle(top object) flows.Record {
	c := &oracle{}
	var rec flows.Record
	flow := top
	if v, ok := top["flow"]; ok {
		flow = c.object(v)
	}
	rec.Time = c.time(flow["time"])
	if around := c.time(top["time"]); rec.Time.IsZero() {
		rec.Time = around
	}
	ip := c.object(flow["IP"])
	rec.Src, rec.Dst = c.end(flow["source"]), c.end(flow["destination"])
	rec.Src.IP, rec.Dst.IP = c.addr(ip["source"]), c.addr(ip["destination"])
	hasPorts, syn, ack := c.transport(c.object(flow["l4"]), &rec)
	c.verdict(flow, &rec)
	switch c.text(get(flow, "traffic_direction", "trafficDirection")) {
	case "EGRESS", "2":
		rec.Direction = flows.AtEgress
	case "INGRESS", "1":
		rec.Direction = flows.AtIngress
	}
	for _, side := range []string{"egress", "ingress"} {
		rec.AllowedBy = append(rec.AllowedBy, c.policies(get(flow, side+"_allowed_by", side+"AllowedBy"))...)
		rec.DeniedBy = append(rec.DeniedBy, c.policies(get(flow, side+"_denied_by", side+"DeniedBy"))...)
	}
	isReply, told := c.flag(get(flow, "is_reply", "isReply"))
	reply, _ := c.flag(flow["reply"])
	kind := c.text(flow["Type"])
	switch {
	case c.bad:
		return flows.Record{Why: flows.Malformed}
	case !rec.Src.IP.IsValid() || !rec.Dst.IP.IsValid():
		rec.Why = flows.NotAFlow
	case slices.Contains([]string{"L7", "SOCK", "2", "3"}, kind), !hasPorts, rec.Port == 0:
		rec.Why = flows.NotL4
	case isReply, !told && reply, !told && rec.Protocol == engine.TCP && syn && ack:
		rec.Why = flows.Reply
	}
	return rec
}

func (c *oracle) end(v any) flows.End {
	o := c.object(v)
	return flows.End{Namespace: c.text(o["namespace"]), Pod: c.text(get(o, "pod_name", "podName"))}
}

func (c *oracle) transport(l4 object, rec *flows.Record) (hasPorts, syn, ack bool) {
	for name, p := range map[string]engine.Protocol{"TCP": engine.TCP, "UDP": engine.UDP, "SCTP": engine.SCTP} {
		if l4[name] == nil {
			continue
		}
		o := c.object(l4[name])
		flags := c.object(o["flags"])
		s, _ := c.flag(flags["SYN"])
		a, _ := c.flag(flags["ACK"])
		hasPorts, syn, ack = true, syn || s, ack || a
		rec.Protocol, rec.Port = p, c.port(get(o, "destination_port", "destinationPort"))
	}
	return hasPorts, syn, ack
}

func (c *oracle) verdict(flow object, rec *flows.Record) {
	policy := false
	for _, key := range []string{"drop_reason", "dropReason", "drop_reason_desc", "dropReasonDesc"} {
		switch c.text(flow[key]) {
		case "133", "181", "POLICY_DENIED", "POLICY_DENY":
			policy = true
		}
	}
	switch c.text(flow["verdict"]) {
	case "FORWARDED", "REDIRECTED", "1", "5":
		rec.Observed = flows.ObservedAllowed
	case "AUDIT", "4":
		rec.Observed = flows.ObservedDenied
	case "DROPPED", "2":
		if policy {
			rec.Observed = flows.ObservedDenied
		}
	}
}

func (c *oracle) policies(v any) []string {
	var list []string
	for _, v := range c.array(v) {
		o := c.object(v)
		kind, derived := c.text(o["kind"]), ""
		for _, label := range c.array(o["labels"]) {
			from, ok := strings.CutPrefix(c.text(label), "k8s:io.cilium.k8s.policy.derived-from=")
			if ok && from != "" {
				derived = from
			}
		}
		if kind == "" {
			kind = derived
		}
		name, namespace := c.text(o["name"]), c.text(o["namespace"])
		if namespace != "" {
			namespace += "/"
		}
		if kind != "" {
			kind += " "
		}
		if name != "" {
			list = append(list, kind+namespace+name)
		}
	}
	return list
}

// decisionOracle returns the record of a line of the decision log.
func decisionOracle(top object) flows.Record {
	c := &oracle{}
	rec := flows.Record{Time: c.time(top["time"])}
	question, answer := c.object(top["question"]), c.object(top["answer"])
	failed, dropped := c.object(top["error"]) != nil, top["dropped"] != nil
	c.text(top["dropped"])
	allowed, _ := c.flag(answer["allowed"])
	switch {
	case c.bad, question == nil && !dropped, question != nil && answer == nil && !failed:
		return flows.Record{Why: flows.Malformed}
	case question == nil:
		rec.Why = flows.NotAFlow
	}
	if answer != nil && !(failed && rec.Why == "") {
		rec.Observed = flows.ObservedDenied
		if allowed {
			rec.Observed = flows.ObservedAllowed
		}
	}
	return rec
}
