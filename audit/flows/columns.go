package flows

import (
	"fmt"
	"strings"
)

// The names of a record's values in JSONL and CSV, in the order of columnNames.
const (
	colSrc = iota
	colDst
	colPort
	colProtocol
	colVerdict
	colDirection
	colTime
	colReply
	columnCount
)

var columnNames = [columnCount]string{
	"src", "dst", "port", "protocol", "verdict", "direction", "time", "reply",
}

// defaultColumns are the columns that have a value, the first that is there.
var defaultColumns = [columnCount][]string{
	{"src", "src_ip", "source"},
	{"dst", "dst_ip", "destination"},
	{"port", "dst_port", "dport"},
	{"protocol", "proto"},
	{"verdict", "action", "disposition"},
	{"direction"},
	{"time", "timestamp", "start"},
	{"reply"},
}

// columnNamed returns the index of a name; -1 if there is none.
func columnNamed(name string) int {
	for i, n := range columnNames {
		if n == name {
			return i
		}
	}
	return -1
}

// columnsOf returns the columns to look for, after what the options map.
func columnsOf(o Options) [columnCount][]string {
	columns := defaultColumns
	for name, column := range o.Columns {
		columns[columnNamed(name)] = []string{column}
	}
	return columns
}

// values are the texts of one record in JSONL or CSV; nil is absent. What spaces surround is trimmed.
type values struct {
	text  [columnCount][]byte
	names *names
	rec   *Record
	// problem is the first mistake, in the order of columnNames.
	problem string
}

// record fills the Record by the texts, and decides whether it is asked (F2).
func (v *values) record() {
	rec := v.rec
	v.problem = ""
	for i := range v.text {
		v.text[i] = trimSpace(v.text[i])
	}
	rec.Src, rec.Dst = v.end(colSrc), v.end(colDst)
	rec.Port = v.port()
	transport := v.protocol()
	rec.Observed = verdict(v.text[colVerdict])
	rec.Direction = v.direction()
	v.time()
	reply := v.reply()
	noSrc, noDst := len(v.text[colSrc]) == 0, len(v.text[colDst]) == 0
	if noSrc != noDst {
		missing, there := colSrc, colDst
		if noDst {
			missing, there = colDst, colSrc
		}
		v.reject("%s: is missing beside %s %s; give an address or a word such as shop/web-0",
			columnNames[missing], columnNames[there], quotedBytes(v.text[there]))
	}
	switch {
	case v.problem != "":
		rec.malformed(v.problem)
	case noSrc:
		rec.Why = NotAFlow
	case !transport || rec.Port == 0:
		rec.Why = NotL4
	case reply:
		rec.Why = Reply
	}
}

func (v *values) reject(format string, args ...any) {
	if v.problem == "" {
		v.problem = fmt.Sprintf(format, args...)
	}
}

func (v *values) end(column int) End {
	text := v.names.text(v.text[column])
	if strings.Contains(text, "\uFFFD") || text != strings.ToValidUTF8(text, "\uFFFD") {
		v.reject("%s: %s is not UTF-8; write the name in UTF-8", columnNames[column], quoted(text))
	}
	if ip, ok := address(text); ok {
		return End{IP: ip}
	}
	return End{Word: text}
}

// port reads the port. None, and 0, which records have for protocols without ports, are 0.
func (v *values) port() uint16 {
	text := v.text[colPort]
	if len(text) == 0 {
		return 0
	}
	n, ok := number(text, 65535)
	if !ok {
		v.reject("%s", portProblem("port", text))
	}
	return uint16(n)
}

// protocol reads the protocol, TCP if there is none, and reports whether it has ports.
func (v *values) protocol() (transport bool) {
	text := v.text[colProtocol]
	if len(text) == 0 {
		return true
	}
	p, transport, known := protocol(text)
	if !known {
		v.reject("protocol: %s is not a protocol; give TCP, UDP or SCTP, or an IANA number", quotedBytes(text))
	}
	v.rec.Protocol = p
	return transport
}

func (v *values) direction() Direction {
	text := v.text[colDirection]
	switch {
	case len(text) == 0:
	case equalFold(text, "egress"):
		return AtEgress
	case equalFold(text, "ingress"):
		return AtIngress
	default:
		v.reject("direction: %s is not a direction; give egress, ingress or nothing", quotedBytes(text))
	}
	return NoDirection
}

func (v *values) time() {
	text := v.text[colTime]
	if len(text) == 0 {
		return
	}
	t, err := timestamp(text)
	if err != nil {
		v.reject("%s", timeProblem(text, err))
	}
	v.rec.Time = t
}

func (v *values) reply() bool {
	text := v.text[colReply]
	switch {
	case len(text) == 0, equalFold(text, "false"):
	case equalFold(text, "true"):
		return true
	default:
		v.reject("reply: %s is neither true nor false; give one of them or nothing", quotedBytes(text))
	}
	return false
}

// trimSpace returns text without the spaces and tabs around it.
func trimSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for n := len(text); n > 0 && (text[n-1] == ' ' || text[n-1] == '\t'); n-- {
		text = text[:n-1]
	}
	return text
}
