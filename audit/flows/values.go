package flows

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/netpold/netpold/engine"
)

// maxQuoted is how much of a value a problem shows, in bytes with its quotes.
const maxQuoted = 200

// quoted returns value in quotes, as valid UTF-8, shortened to maxQuoted.
func quoted(value string) string {
	const more = "..."
	value = strings.ToValidUTF8(value, "\uFFFD")
	q := strconv.Quote(value[:cutAt(value, maxQuoted)])
	if len(q) <= maxQuoted && len(value) <= maxQuoted {
		return q
	}
	for n := maxQuoted - 2 - len(more); ; n -= 8 {
		n = cutAt(value, n)
		if q = strconv.Quote(value[:n]) + more; len(q) <= maxQuoted {
			return q
		}
	}
}

// cutAt returns the largest length up to n that parts no character of value.
func cutAt(value string, n int) int {
	if n >= len(value) {
		return len(value)
	}
	for n > 0 && !utf8.RuneStart(value[n]) {
		n--
	}
	return n
}

func quotedBytes(value []byte) string {
	return quoted(string(value[:min(len(value), 2*maxQuoted)]))
}

// address returns the address that text writes, an IPv4-mapped one as the IPv4 address (S9), and reports
// whether it is one. One with a zone is none: a zone means nothing to a cluster.
func address(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// number returns the digits of text as a number; ok is false if it is none or larger than most.
func number(text []byte, most uint64) (n uint64, ok bool) {
	if len(text) == 0 || len(text) > 19 {
		return 0, false
	}
	for _, c := range text {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n <= most
}

func portProblem(field string, text []byte) string {
	return fmt.Sprintf("%s: %s is not a port; give 1 to 65535", field, quotedBytes(text))
}

// transports are the protocols that policies tell apart, by IANA number (S22).
var transports = map[uint64]engine.Protocol{6: engine.TCP, 17: engine.UDP, 132: engine.SCTP}

// others are names of protocols that no policy knows and that records do have. Any number below 256 is one.
var others = map[string]bool{
	"icmp": true, "icmpv4": true, "icmpv6": true, "icmp6": true, "ipv6-icmp": true, "igmp": true, "gre": true,
	"esp": true, "ah": true, "ipip": true, "ospf": true, "pim": true, "vrrp": true,
}

// protocol returns the transport protocol that text names; known is false if text names no protocol, and
// transport is false if it is one without ports.
func protocol(text []byte) (p engine.Protocol, transport, known bool) {
	switch {
	case equalFold(text, "tcp"):
		return engine.TCP, true, true
	case equalFold(text, "udp"):
		return engine.UDP, true, true
	case equalFold(text, "sctp"):
		return engine.SCTP, true, true
	}
	if n, ok := number(text, 255); ok {
		p, transport = transports[n]
		return p, transport, true
	}
	return 0, false, others[strings.ToLower(string(text))]
}

// verdictWords are the verdicts that JSONL and CSV may have, in lower case. Any other observes nothing.
var verdictWords = map[string]Observed{
	"allow": ObservedAllowed, "allowed": ObservedAllowed, "accept": ObservedAllowed, "pass": ObservedAllowed,
	"forwarded": ObservedAllowed,
	"deny":      ObservedDenied, "denied": ObservedDenied, "drop": ObservedDenied, "dropped": ObservedDenied,
	"reject": ObservedDenied, "block": ObservedDenied, "blocked": ObservedDenied,
}

func verdict(text []byte) Observed {
	var lower [16]byte
	if len(text) > len(lower) {
		return NotObserved
	}
	return verdictWords[string(appendLower(lower[:0], text))]
}

func appendLower(to, text []byte) []byte {
	for _, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}

// equalFold reports whether text is word, which is in lower case, in any case.
func equalFold(text []byte, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

const timeRemedy = `give RFC 3339 such as "2026-01-31T15:04:05Z", or Unix seconds`

// maxUnix is the last second of the year 9999. A larger number is in milliseconds or smaller.
const maxUnix = 253402300799

// zoneless are times without a zone.
var zoneless = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"}

// timestamp returns the time that text writes, in UTC: RFC 3339, also with a space for its T, or Unix seconds
// with a fraction, which is cut to nanoseconds.
func timestamp(text []byte) (time.Time, error) {
	if len(text) > 0 && bytes.IndexByte(text, '-') < 0 && bytes.IndexByte(text, ':') < 0 {
		return unixTime(text)
	}
	var t time.Time
	if err := t.UnmarshalText(text); err == nil {
		return t.UTC(), nil
	}
	if len(text) > 10 && len(text) < 64 && text[10] == ' ' {
		var form [64]byte
		spaced := append(form[:0], text...)
		spaced[10] = 'T'
		if err := t.UnmarshalText(spaced); err == nil {
			return t.UTC(), nil
		}
	}
	for _, layout := range zoneless {
		if _, err := time.Parse(layout, string(text)); err == nil {
			return time.Time{}, errors.New("has no time zone; write one after it, such as Z")
		}
	}
	return time.Time{}, errors.New("is not a time; " + timeRemedy)
}

// ParseTime returns the time that text writes, as records have it: RFC 3339 or Unix seconds. The error says what
// is wrong with text, without naming it, and the remedy.
func ParseTime(text string) (time.Time, error) { return timestamp([]byte(text)) }

func unixTime(text []byte) (time.Time, error) {
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	seconds, ok := number(whole, 1<<63)
	if !ok {
		return time.Time{}, errors.New("is not a time; " + timeRemedy)
	}
	if seconds > maxUnix {
		return time.Time{}, errors.New("is after the year 9999 in Unix seconds; give seconds, " +
			"not milliseconds or nanoseconds")
	}
	nanos, digits := uint64(0), 0
	for _, c := range fraction {
		if c-'0' > 9 {
			return time.Time{}, errors.New("is not a time; " + timeRemedy)
		}
		if digits < 9 {
			nanos = nanos*10 + uint64(c-'0')
			digits++
		}
	}
	for ; digits < 9; digits++ {
		nanos *= 10
	}
	return time.Unix(int64(seconds), int64(nanos)).UTC(), nil
}

func timeProblem(text []byte, err error) string {
	return fmt.Sprintf("time: %s %v", quotedBytes(text), err)
}
