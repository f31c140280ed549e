// Package decisionid makes the ids of decisions. By its id a decision is found again in the decision log, in a
// proxy's access log and in a trace (P4, G1).
package decisionid

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Header is the key of the id in the metadata of a response.
const Header = "netpold-decision-id"

// An ID is a decision_id. It is unique, not secret.
type ID [16]byte

// New returns a fresh ID. It is safe for concurrent use.
func New() ID {
	var id ID
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// String returns the 32 hex digits of the ID.
func (id ID) String() string {
	var digits [2 * len(id)]byte
	hex.Encode(digits[:], id[:])
	return string(digits[:])
}

// Plus returns the ID that is n higher in its last 16 digits.
func (id ID) Plus(n uint64) ID {
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+n)
	return id
}

// Announce puts the ID into the metadata of a call's response, which is sent with the first message (G1).
func (id ID) Announce(ctx context.Context) {
	a := newAnnouncement(id)
	// It copies. It fails only for a call whose header is sent, or that is over: then nobody reads it.
	_ = grpc.SetHeader(ctx, a)
	announcements.Put(a)
}

// Send sends the metadata of a call's response, with the ID in it (G1). It belongs right before the response:
// SetHeader would copy the map, which costs a call more than all else that is done for its ID.
func (id ID) Send(ctx context.Context) {
	a := newAnnouncement(id)
	// The stream keeps the map, and reads it no more once it is sent. It fails as in Announce.
	_ = grpc.SendHeader(ctx, a)
	announcements.Put(a)
}

func newAnnouncement(id ID) metadata.MD {
	md, _ := announcements.Get().(metadata.MD)
	md[Header][0] = id.String()
	return md
}

// announcements has metadata that nobody uses.
var announcements = sync.Pool{New: func() any { return metadata.MD{Header: make([]string, 1)} }}
