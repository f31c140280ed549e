package render

import (
	"errors"
	"fmt"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A List collects the messages of one ListConnections. It keeps connections folded, as they come, and opens
// them row by row when it is written.
type List struct {
	request     *netpoldv1.ListConnectionsRequest
	header      *netpoldv1.AuditHeader
	groups      []*netpoldv1.Group // by id, from 1
	sets        map[uint32][]uint32
	connections []*netpoldv1.Connection
	exposures   []*netpoldv1.Exposure
	summary     *netpoldv1.ListSummary

	units unitIndex
	// changed has what differs in a [Diff], in the order in which it came. changeOf has, for each of its
	// connections, the place in changed, from 1.
	changed  []RowChange
	changeOf map[*netpoldv1.Connection]int
}

// NewList returns a List for the answer to request, which says what the answer leaves out.
func NewList(request *netpoldv1.ListConnectionsRequest) *List {
	return &List{request: request, sets: map[uint32][]uint32{}}
}

// Add adds the next message. It keeps m. It returns an error if m names what no message before it had.
func (l *List) Add(m *netpoldv1.ListConnectionsResponse) error {
	switch item := m.GetItem().(type) {
	case *netpoldv1.ListConnectionsResponse_Header:
		l.header = item.Header
	case *netpoldv1.ListConnectionsResponse_Group:
		return l.addGroup(item.Group)
	case *netpoldv1.ListConnectionsResponse_Set:
		return l.addSet(item.Set)
	case *netpoldv1.ListConnectionsResponse_Connection:
		return l.addConnection(item.Connection)
	case *netpoldv1.ListConnectionsResponse_Exposure:
		l.exposures = append(l.exposures, item.Exposure)
		return l.known([]uint32{item.Exposure.GetGroup()}, nil)
	case *netpoldv1.ListConnectionsResponse_Summary:
		l.summary = item.Summary
	}
	return nil
}

func (l *List) addGroup(g *netpoldv1.Group) error {
	if g.GetId() != uint32(len(l.groups))+1 {
		return fmt.Errorf("the list is broken: group %d follows group %d", g.GetId(), len(l.groups))
	}
	l.groups = append(l.groups, g)
	l.units.add(g)
	return nil
}

func (l *List) addSet(s *netpoldv1.Set) error {
	l.sets[s.GetId()] = s.GetGroups()
	return l.known(s.GetGroups(), nil)
}

func (l *List) addConnection(c *netpoldv1.Connection) error {
	l.connections = append(l.connections, c)
	return errors.Join(l.known(c.GetSrcGroups(), c.GetSrcSets()), l.known(c.GetDstGroups(), c.GetDstSets()))
}

// known returns an error if a group or a set has not been sent.
func (l *List) known(groups, sets []uint32) error {
	for _, id := range groups {
		if id == 0 || int(id) > len(l.groups) {
			return fmt.Errorf("the list is broken: it names group %d, which it does not have", id)
		}
	}
	for _, id := range sets {
		if _, ok := l.sets[id]; !ok {
			return fmt.Errorf("the list is broken: it names set %d, which it does not have", id)
		}
	}
	return nil
}

// isDiff reports whether l is the list of a [Diff].
func (l *List) isDiff() bool { return l.changeOf != nil }

// Complete reports whether the list has reached its end.
func (l *List) Complete() bool { return l.summary != nil }

// opened calls visit for every group of a list of groups and sets.
func (l *List) opened(groups, sets []uint32, visit func(*netpoldv1.Group)) {
	for _, id := range groups {
		visit(l.groups[id-1])
	}
	for _, set := range sets {
		for _, id := range l.sets[set] {
			visit(l.groups[id-1])
		}
	}
}
