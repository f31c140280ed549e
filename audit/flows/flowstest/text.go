package flowstest

import (
	"strconv"
	"strings"
	"time"

	"github.com/netpold/netpold/audit/flows"
	"github.com/netpold/netpold/engine"
)

// AppendJSONL appends a record as a line of JSON lines, by the default columns or their other names.
func AppendJSONL(to []byte, rec *flows.Record) []byte {
	names := [][8]string{
		{"src", "dst", "port", "protocol", "verdict", "direction", "time", "reply"},
		{"src_ip", "dst_ip", "dst_port", "proto", "action", "direction", "timestamp", "reply"},
		{"source", "destination", "dport", "protocol", "disposition", "direction", "start", "reply"},
	}[diceOf(rec)%3]
	comma := "{"
	for i, text := range texts(rec) {
		if text == "" {
			continue
		}
		to = append(append(to, comma...), `"`+names[i]+`":`...)
		if bare := text == "true" || i == 2; bare {
			to = append(to, text...)
		} else {
			to = strconv.AppendQuote(to, text)
		}
		comma = ","
	}
	to = append(to, comma...)
	to = append(to, `"bytes":1200,"tags":["a",{"b":null}]`...)
	if rec.Why == flows.Malformed {
		to = append(to, `,"broken`...)
	}
	return append(to, "}\n"...)
}

// Header is the header of what AppendCSV writes.
const Header = "time,src,dst,port,protocol,verdict,direction,reply,bytes,comment\n"

// AppendCSV appends a record as a line of CSV. What is unknown is an empty cell or "-".
func AppendCSV(to []byte, rec *flows.Record) []byte {
	dice := diceOf(rec)
	t := texts(rec)
	for i, text := range []string{t[6], t[0], t[1], t[2], t[3], t[4], t[5], t[7]} {
		switch {
		case text == "" && dice%5 == 0:
			to = append(to, '-')
		case dice%7 == uint64(i):
			to = append(append(append(to, '"'), strings.ReplaceAll(text, `"`, `""`)...), '"')
		default:
			to = append(to, text...)
		}
		to = append(to, ',')
	}
	if rec.Why != flows.Malformed {
		to = append(to, "1200,"...) // Without it a cell is missing.
	}
	switch dice % 11 {
	case 0:
		return append(to, "\"said \"\"no\"\", twice\"\r\n"...)
	case 1:
		return append(to, "-\r\n"...)
	}
	return append(to, "-\n"...)
}

// AppendDecision appends a record as a line of the decision log.
func AppendDecision(to []byte, rec *flows.Record) []byte {
	to = append(append(to, `{"time":"`...), rec.Time.Format(time.RFC3339Nano)...)
	if rec.Why == flows.NotAFlow {
		return append(to, `","dropped":12}`+"\n"...)
	}
	to = append(append(to, `","decision_id":"`...), strings.Repeat("0123456789abcdef", 2)...)
	to = append(to, `","method":"/netpold.v1.DecisionService/Allowed","index":0,`+
		`"caller":{"address":"10.0.0.9:4711","identity":"proxy"},"question":`...)
	to = appendQuestion(to, rec)
	switch rec.Observed {
	case flows.ObservedAllowed:
		to = append(to, `,"answer":{"allowed":true,"reason":"REASON_ALLOWED","revision":"7"}`...)
	case flows.ObservedDenied:
		to = append(to, `,"answer":{"allowed":false,"reason":"REASON_DENIED_AT_INGRESS","revision":"7"}`...)
	case flows.NotObserved:
		to = append(to, `,"error":{"code":5,"message":"no Pod \"a\" in namespace \"b\"","details":[]}`...)
	}
	to = append(to, `,"latency_us":14,"trace_id":"","sampled":1`...)
	if rec.Why == flows.Malformed {
		return append(to, '\n')
	}
	return append(to, "}\n"...)
}

func appendQuestion(to []byte, rec *flows.Record) []byte {
	return append(to, `{"src":{"ip":"`+rec.Src.IP.String()+`"},"dst":{"ip":"`+rec.Dst.IP.String()+`"},"port":`+
		strconv.Itoa(int(rec.Port))+`,"protocol":"PROTOCOL_`+rec.Protocol.String()+`"}`...)
}

// texts returns the values of a record in the order of its columns; "" is unknown.
func texts(rec *flows.Record) [8]string {
	dice := diceOf(rec)
	t := [8]string{0: endText(rec.Src), 1: endText(rec.Dst)}
	if rec.Port != 0 && rec.Why != flows.NotL4 {
		t[2] = strconv.Itoa(int(rec.Port))
	}
	switch {
	case rec.Why == flows.NotL4:
		t[3] = []string{"icmp", "1", ""}[dice%3]
	case rec.Protocol == engine.TCP:
		t[3] = []string{"tcp", "TCP", "6", ""}[dice%4]
	case rec.Protocol == engine.UDP:
		t[3] = []string{"Udp", "17"}[dice%2]
	default:
		t[3] = []string{"sctp", "132"}[dice%2]
	}
	switch rec.Observed {
	case flows.ObservedAllowed:
		t[4] = []string{"allow", "Allowed", "ACCEPT", "pass", "FORWARDED"}[dice%5]
	case flows.ObservedDenied:
		t[4] = []string{"deny", "Denied", "DROP", "dropped", "REJECT", "block", "Blocked"}[dice%7]
	case flows.NotObserved:
		t[4] = []string{"", "unknown"}[dice%2]
	}
	switch rec.Direction {
	case flows.AtEgress:
		t[5] = "egress"
	case flows.AtIngress:
		t[5] = "INGRESS"
	case flows.NoDirection:
	}
	switch {
	case rec.Time.IsZero():
	case dice%2 == 0:
		t[6] = rec.Time.Format(time.RFC3339Nano)
	default:
		nanos := strconv.Itoa(1_000_000_000 + rec.Time.Nanosecond())[1:]
		t[6] = strconv.FormatInt(rec.Time.Unix(), 10) + "." + nanos
	}
	if rec.Why == flows.Reply {
		t[7] = "true"
	}
	return t
}

func endText(end flows.End) string {
	if end.IP.IsValid() {
		return end.IP.String()
	}
	return end.Word
}
