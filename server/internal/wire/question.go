package wire

import (
	"net/netip"

	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A Question is an AllowedRequest that was read without a message if it is one by IP of the usual form. Any other, and
// any that is wrong, is a message. So there is one judge of what is right: [RequestReader].
type Question struct {
	// ByIP is the question if Message is nil.
	ByIP    IPQuery
	Message *netpoldv1.AllowedRequest
	// unread is the wire form of Message until it is decoded.
	unread []byte
	known  bool
}

// Read looks at the wire form of the question, and returns how many elements a message of it has. Of more than
// [netpoldv1.MaxQuestionElements], tooLarge is not negative. [Question.Decode] must follow, with the same bytes.
func (q *Question) Read(data []byte) (elements, tooLarge int) {
	*q = Question{known: true}
	if readByIP(data, &q.ByIP) {
		return endsByIP, -1
	}
	q.ByIP, q.unread = IPQuery{}, data
	return questionShape.Elements(data, netpoldv1.MaxQuestionElements)
}

// Decode makes the message, if the question needs one.
func (q *Question) Decode(data []byte) error {
	if !q.known {
		q.Read(data)
	}
	if q.ByIP.Port != 0 {
		return nil
	}
	q.unread, q.Message = nil, new(netpoldv1.AllowedRequest)
	return proto.Unmarshal(data, q.Message)
}

var (
	questionShape = netpoldv1.ShapeOf((*netpoldv1.AllowedRequest)(nil).ProtoReflect().Descriptor())
	batchShape    = netpoldv1.ShapeOf((*netpoldv1.BatchAllowedRequest)(nil).ProtoReflect().Descriptor())
)

// endsByIP is how many elements a question by IP has inside: its two ends.
const endsByIP = 2

// The fields of a question that are read without a message.
const (
	tagSrc, tagDst, tagPort, tagProtocol = bytes1, bytes2, number3, number4
	tagIP                                = bytes1         // of an Endpoint
	tagQuestions, tagAtLeast             = bytes1, bytes2 // of a batch
	// oneByte is more than the largest number of one byte.
	oneByte = 0x80
)

// readByIP reads a valid question of two addresses, a port, and perhaps a protocol, each given once. It returns false
// for any other, which may be right too.
func readByIP(b []byte, q *IPQuery) bool {
	seen := 0
	for len(b) > 1 {
		tag := b[0]
		field := 1 << (tag >> 3)
		if seen&field != 0 {
			return false
		}
		seen |= field
		switch tag {
		case tagSrc, tagDst:
			n := int(b[1])
			if n >= oneByte || len(b) < 2+n || n < 2 || b[2] != tagIP || int(b[3]) != n-2 {
				return false
			}
			ip, ok := readIP(b[4 : 2+n])
			if !ok {
				return false
			}
			if tag == tagSrc {
				q.Src = ip
			} else {
				q.Dst = ip
			}
			b = b[2+n:]
		case tagPort:
			port, n := readPort(b[1:])
			if port == 0 {
				return false
			}
			q.Port, b = port, b[1+n:]
		case tagProtocol:
			if q.Protocol = engineProtocol(b[1]); q.Protocol == noProtocol {
				return false
			}
			b = b[2:]
		default:
			return false
		}
	}
	return len(b) == 0 && q.Src.IsValid() && q.Dst.IsValid() && q.Port != 0
}

// readPort reads a port, and returns how long it is; 0 if there is none.
func readPort(b []byte) (port uint16, n int) {
	value := 0
	for i := 0; i < len(b) && i < 3; i++ {
		value |= int(b[i]&0x7f) << (7 * i)
		if b[i] < oneByte {
			if value > 65535 {
				return 0, 0
			}
			return uint16(value), i + 1
		}
	}
	return 0, 0
}

// readIP reads an address in text. An IPv4-mapped one becomes the IPv4 address (S9). One with a zone is none.
func readIP(text []byte) (netip.Addr, bool) {
	if ip, ok := readIPv4(text); ok {
		return netip.AddrFrom4(ip), true
	}
	if ip, ok := readIPv6(text); ok {
		return netip.AddrFrom16(ip).Unmap(), true
	}
	ip, err := netip.ParseAddr(string(text))
	return ip.Unmap(), err == nil && ip.Zone() == ""
}

// readIPv4 reads an IPv4 address as package netip does, without the string that it needs.
func readIPv4(text []byte) (ip [4]byte, ok bool) {
	for field := range ip {
		value, digits := 0, 0
		for digits < len(text) && text[digits]-'0' <= 9 {
			value = 10*value + int(text[digits]-'0')
			digits++
			if value > 255 || value == 0 && digits > 1 {
				return ip, false
			}
		}
		if digits == 0 || digits > 1 && text[0] == '0' {
			return ip, false
		}
		ip[field] = byte(value)
		if text = text[digits:]; field == len(ip)-1 {
			return ip, len(text) == 0
		}
		if len(text) == 0 || text[0] != '.' {
			return ip, false
		}
		text = text[1:]
	}
	return ip, false
}

// readIPv6 reads an IPv6 address of hexadecimal groups, as package netip does. It leaves one that ends in an IPv4 address
// or has a zone to that.
func readIPv6(text []byte) (ip [16]byte, ok bool) {
	n, gap := 0, -1 // bytes so far, and how many of them come before the zeros that :: stands for
	if len(text) >= 2 && text[0] == ':' && text[1] == ':' {
		gap, text = 0, text[2:]
	}
	for n < len(ip) && len(text) > 0 {
		group, digits := readGroup(text)
		if digits == 0 {
			return ip, false
		}
		ip[n], ip[n+1] = byte(group>>8), byte(group)
		n, text = n+2, text[digits:]
		if len(text) == 0 {
			break
		}
		if len(text) == 1 || text[0] != ':' {
			return ip, false
		}
		if text = text[1:]; text[0] == ':' {
			if gap >= 0 {
				return ip, false
			}
			gap, text = n, text[1:]
		}
	}
	switch {
	case len(text) > 0 || (n == len(ip)) != (gap < 0): // :: stands for one group at least
		return ip, false
	case gap >= 0:
		tail := len(ip) - (n - gap)
		copy(ip[tail:], ip[gap:n])
		clear(ip[gap:tail])
	}
	return ip, true
}

// readGroup reads the hexadecimal digits that text begins with: their value and how many they are, 0 for more than four.
func readGroup(text []byte) (value uint, digits int) {
	for ; digits < len(text); digits++ {
		c := text[digits]
		switch lower := c | 0x20; {
		case c-'0' <= 9:
			c -= '0'
		case lower-'a' <= 5:
			c = lower - 'a' + 10
		default:
			return value, digits
		}
		if digits == 4 {
			return 0, 0
		}
		value = value<<4 | uint(c)
	}
	return value, digits
}
