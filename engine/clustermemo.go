package engine

import (
	"net/netip"
	"sync/atomic"
)

// memoRoom is how many answers a clusterMemo has room for: 16 MiB.
const memoRoom = 4 << 20

// A clusterMemo remembers for a kind of subject and a kind of peer, on a port, which cluster-wide rule is the
// first that matches by selectors. Readers fill it: a cell is 0 until someone asked, and every reader would
// write the same.
//
//	port 443, egress, Admin ─► column ─► a row for each clusterPeer ─► a cell for each clusterSubject
//
// Only ports that some rule names as a single port have a column, and only while there is room. It is true as
// long as the rules are the same and each number means the same kind; then [txn.renewMemo] makes a new one.
// Kinds with a later number have no cell.
type clusterMemo struct {
	subjects, peers uint32
	columns         []atomic.Pointer[memoColumn]
	room            atomic.Int64
}

// A memoColumn has the cells of one port.
type memoColumn struct{ cells []atomic.Uint32 }

// newClusterMemo returns an empty memo.
func newClusterMemo(subjects, peers uint32, columns int) *clusterMemo {
	m := &clusterMemo{subjects: subjects, peers: peers, columns: make([]atomic.Pointer[memoColumn], columns)}
	m.room.Store(memoRoom)
	return m
}

// cell returns the cell of two numbers in a column, or nil if there is none.
func (m *clusterMemo) cell(column, subject, peer uint32) *atomic.Uint32 {
	if subject >= m.subjects || peer >= m.peers {
		return nil
	}
	c := m.columns[column].Load()
	if c == nil {
		if c = m.makeColumn(column); c == nil {
			return nil
		}
	}
	return &c.cells[m.index(subject, peer)]
}

// index returns where a column has the cell of two numbers that have cells.
func (m *clusterMemo) index(subject, peer uint32) uint64 {
	return uint64(peer)*uint64(m.subjects) + uint64(subject)
}

// makeColumn makes a column, or returns that of a reader who was faster. It returns nil if there is no room.
func (m *clusterMemo) makeColumn(column uint32) *memoColumn {
	n := int64(m.subjects) * int64(m.peers)
	if m.room.Add(-n) < 0 {
		m.room.Add(n)
		return nil
	}
	c := &memoColumn{make([]atomic.Uint32, n)}
	if !m.columns[column].CompareAndSwap(nil, c) {
		m.room.Add(n)
		c = m.columns[column].Load()
	}
	return c
}

// adminReasons has the reason of a decision by what the Admin tier does for egress, in the two high bits, and for
// ingress. It is Unknown if another tier has a say.
var adminReasons = [16]Reason{
	uint8(Deny)<<2 | uint8(Deny): DeniedAtEgress, uint8(Deny)<<2 | uint8(Allow): DeniedAtEgress,
	uint8(Deny)<<2 | uint8(Pass): DeniedAtEgress, uint8(Allow)<<2 | uint8(Deny): DeniedAtIngress,
	uint8(Allow)<<2 | uint8(Allow): AllowedByRule,
}

// remembered returns the reason of the decision about two direct addresses, if the memo alone gives it, and
// otherwise Unknown. It reads the cells of both sides before it looks at either, so that a processor that
// guesses the answer wrong has read them all the same. Both classes must be tiered for their side.
//
// It does what [clusterRules.cell] does for two sides, in one piece.
func (x *clusterRules) remembered(
	from, to *hotClass, src, dst netip.Addr, port uint16, protocol Protocol,
) Reason {
	first, second := src.As4()[0], dst.As4()[0]
	networks := x.networkBytes[first/64]>>(first%64) | x.networkBytes[second/64]>>(second%64)
	column, ok := x.ports.find(uint32(portOf(protocol, port)))
	if !ok || networks&1 != 0 || to.mayName(port) {
		return Unknown
	}
	m := x.memo
	out := m.columns[column|uint32(sideOf(egress, Admin))].Load()
	in := m.columns[column|uint32(sideOf(ingress, Admin))].Load()
	fromSubject, fromPeer := from.fewPeers[subjectNumber], from.fewPeers[peerNumber]
	toSubject, toPeer := to.fewPeers[subjectNumber], to.fewPeers[peerNumber]
	if out == nil || in == nil || max(fromSubject, toSubject) >= m.subjects || max(fromPeer, toPeer) >= m.peers {
		return Unknown
	}
	a, b := out.cells[m.index(fromSubject, toPeer)].Load(), in.cells[m.index(toSubject, fromPeer)].Load()
	if a&b&cellKnown == 0 {
		return Unknown
	}
	return adminReasons[a&3<<2|b&3]
}

const (
	cellKnown = 1 << 31
	// cellRuleBits are for the rule of a match; the slot has those between.
	cellRuleBits, cellSlotBits = 17, 14
)

// cellOf returns the content of a cell, or 0 if the match does not fit into it. Its two lowest bits are the
// action, Pass for no rule.
func cellOf(m clusterMatch) uint32 {
	if m.isNone() {
		return cellKnown | uint32(Pass)
	}
	if m.slot >= 1<<cellSlotBits || m.rule >= 1<<cellRuleBits {
		return 0
	}
	return cellKnown | m.slot<<cellRuleBits | m.rule
}

// matchOfCell returns the match of a cell that is not 0.
func matchOfCell(cell uint32) clusterMatch {
	return clusterMatch{slot: cell &^ cellKnown >> cellRuleBits, rule: cell & (1<<cellRuleBits - 1)}
}

// renewMemo makes a new memo if the rules have changed, if a number means another kind, or if many kinds have
// no cells.
func (t *txn) renewMemo() {
	x := t.tiers
	if x == nil || x.owner != t.edit {
		return
	}
	subjects, peers := x.subjects.pool.next, x.peers.pool.next
	if t.clusterChange.any || x.subjects.reuses || x.peers.reuses ||
		outgrown(subjects, x.memo.subjects) || outgrown(peers, x.memo.peers) {
		x.memo = newClusterMemo(subjects, peers, x.columns)
		x.subjects.reuses, x.peers.reuses = false, false
	}
}

// outgrown reports whether n numbers are many more than those that have cells.
func outgrown(n, cells uint32) bool { return n > cells+cells/8+16 }
