package decisionlog

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// Header is the key of the decision_id in the metadata of a response.
const Header = "netpold-decision-id"

// An ID is a decision_id (G1, P4). It is unique, not secret.
type ID [16]byte

// NewID returns a fresh ID.
func NewID() ID {
	var id ID
	binary.BigEndian.PutUint64(id[:8], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

// String returns the 32 hex digits of the ID.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// plus returns the ID of the message that comes n after the first one of a stream: the last 16 digits count
// up.
func (id ID) plus(n uint64) ID {
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+n)
	return id
}
