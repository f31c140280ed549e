package flows

import (
	"net/netip"
	"time"

	"github.com/netpold/netpold/engine"
)

// A Record is what one line of the input says, in whichever format.
type Record struct {
	// File is the name of the input. Line counts from 1.
	File string
	Line int
	// Why is the reason that the record is not asked, as far as its own line tells (F2); empty if it is asked.
	Why Why
	// Problem says what is wrong with a record that is Malformed: field, value and remedy.
	Problem string

	// Time is when it happened. It is zero if the record does not say.
	Time time.Time
	// Src and Dst are the ends.
	Src, Dst End
	// Port is the destination port, and Protocol the transport protocol.
	Port     uint16
	Protocol engine.Protocol
	// Question is the whole question as JSON of netpold.v1.AllowedRequest, of the format decisions. Src, Dst,
	// Port and Protocol are empty then.
	Question []byte

	// Observed is what the network did with the connection.
	Observed Observed
	// Direction is the side on which it was observed; zero if the record does not say.
	Direction Direction
	// AllowedBy and DeniedBy are the policies that the record names as those that decided, as "kind
	// namespace/name", in its own order.
	AllowedBy, DeniedBy []string
}

// An End is one end of a record.
type End struct {
	// IP is its address. If it is not valid, Word is what the record says: a word of "netpold check".
	IP   netip.Addr
	Word string
	// Namespace and Pod name the Pod that had the address by the record's own words; empty if it does not say.
	Namespace, Pod string
}

// Observed is what the network did with a connection.
type Observed uint8

// What the network did.
const (
	// NotObserved is no verdict, or a drop for a reason other than policy.
	NotObserved Observed = iota
	ObservedAllowed
	ObservedDenied
)

// Direction is the side of a connection on which it was observed.
type Direction uint8

// The sides.
const (
	NoDirection Direction = iota
	AtEgress
	AtIngress
)

// Why is the reason that a record is not asked (F2) or not compared (F3).
type Why string

// Why a record is not asked. The first that applies is told (F2).
const (
	Malformed Why = "malformed"
	NotAFlow  Why = "not-a-flow"
	OutOfTime Why = "out-of-time"
	NotL4     Why = "not-l4"
	Reply     Why = "reply"
)

// Why a record that was asked is not compared. The first that applies is told (F3).
const (
	Unresolved    Why = "unresolved"
	NoVerdict     Why = "no-verdict"
	Moved         Why = "moved"
	PodYounger    Why = "pod-younger"
	PolicyYounger Why = "policy-younger"
)
