package hubble

import (
	"crypto/sha256"

	"github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/proto"
)

// An identity tells events apart. unique means that no other event has it; otherwise it is made of the
// content, and events that happened to be alike share it.
type identity struct {
	bytes  [16]byte
	unique bool
}

// identify returns the identity of a message: of a flow's UUID, otherwise of the whole content.
func identify(m *observer.GetFlowsResponse) identity {
	text := []byte(m.GetFlow().GetUuid())
	unique := len(text) > 0
	if !unique {
		var err error
		if text, err = (proto.MarshalOptions{Deterministic: true}).Marshal(m); err != nil {
			// A message that was read can be written. If not, it is better repeated than lost.
			return identity{}
		}
	}
	digest := sha256.Sum256(text)
	return identity{bytes: [16]byte(digest[:16]), unique: unique}
}

// halfMemory is how many identities a half holds. Both take some 25 MB when full.
const halfMemory = 1 << 18

// A memory remembers at least the last halfMemory events. The zero value is empty.
type memory struct {
	// connection counts connections from 0.
	connection uint32
	young, old map[[16]byte]sighting
}

// A sighting is how often an identity that is not unique was seen: in all, and on the current connection.
type sighting struct {
	connection     uint32
	total, current uint16
}

func (m *memory) full() bool { return len(m.young) >= halfMemory }

func (m *memory) halve() { m.old, m.young = m.young, nil }

// repeats reports whether an event was seen before, and remembers it. Events that happen to be alike are
// counted: those of a new connection are repeated as far as earlier ones had as many.
func (m *memory) repeats(id identity) bool {
	if id == (identity{}) {
		return false
	}
	s, known := m.young[id.bytes]
	if !known {
		s, known = m.old[id.bytes]
	}
	if s.connection != m.connection {
		s.connection, s.current = m.connection, 0
	}
	if s.current < ^uint16(0) {
		s.current++
	}
	repeated := known && (id.unique || s.current <= s.total)
	s.total = max(s.total, s.current)
	if m.young == nil {
		m.young = map[[16]byte]sighting{}
	}
	m.young[id.bytes] = s
	return repeated
}
