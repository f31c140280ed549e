package engine

import (
	"encoding/binary"
	"slices"
)

// Destinations are roles of destinations, prepared for rows: what one source reaches of all of them.
//
// Most destinations say the same of a source that none of their rules names: all that are not isolated allow
// everything, and all that are isolated, mostly nothing. So they are divided into sets by what they say of such
// a source, and a row is the result for each set, and for each destination of which a rule names the source,
// or that a rule of the source names. These are found through indexes.
type Destinations struct {
	roles *Roles
	list  []Destination
	// sets are the parts of list by default result, and setOf has the set of each destination.
	sets  []destinationSet
	setOf []uint32
	// bySelector, byBlock and byPortName have the destinations that a peer or a name of an egress rule matches.
	bySelector, byBlock map[uint32][]uint32
	byPortName          map[string][]uint32
	// rulesBySelector and rulesByBlock have the destinations whose ingress rules name a peer.
	rulesBySelector, rulesByBlock map[uint32][]uint32
	// granted reports whether some set allows anything to a source that no rule names.
	granted bool
	// defaults remembers the results of sets, by what they depend on of the source.
	defaults map[defaultKey][]SetReach
	// seen has for each destination the row that met it last, so that a row meets it once.
	seen []uint32
	row  uint32
	// special has the destinations of a row that are computed one by one.
	special []uint32
}

// Destination is a role of destinations. Those of different Kind are not in one set.
type Destination struct {
	Role uint32
	Kind uint8
}

// A destinationSet is destinations that say the same of a source that none of their rules names.
type destinationSet struct {
	kind     uint8
	families Families
	byIP     bool
	grants   []grant
	members  []uint32
}

// A defaultKey is all that the results of sets depend on of a source.
type defaultKey struct {
	subject  *roleSubject
	families Families
	byIP     bool
}

// Row is what a source reaches of [Destinations].
type Row struct {
	// Sets are the results of sets: what the source reaches of all their members but Except.
	Sets []SetReach
	// Singles are the results of destinations that are no part of a set's, none of them empty.
	Singles []SingleReach
}

// SetReach is the result of a set of destinations.
type SetReach struct {
	// Set is the number of the set.
	Set     uint32
	Reaches []Reach
	// Except are the members that have another result, ascending.
	Except []uint32
}

// SingleReach is the result of one destination.
type SingleReach struct {
	// Destination is its index.
	Destination uint32
	Reaches     []Reach
}

// Destinations returns roles of destinations, prepared for rows.
func (r *Roles) Destinations(list []Destination) *Destinations {
	d := &Destinations{
		roles: r, list: list, setOf: make([]uint32, len(list)), seen: make([]uint32, len(list)),
		bySelector: map[uint32][]uint32{}, byBlock: map[uint32][]uint32{}, byPortName: map[string][]uint32{},
		rulesBySelector: map[uint32][]uint32{}, rulesByBlock: map[uint32][]uint32{},
		defaults: map[defaultKey][]SetReach{},
	}
	sets := map[string]uint32{}
	for i := range list {
		mine := r.roles[asDestination][list[i].Role]
		d.index(uint32(i), mine)
		set := destinationSet{
			kind: list[i].Kind, families: mine.families, byIP: mine.byIP,
			grants: r.side(mine.subject, &role{}, noFamily, nil),
		}
		d.granted = d.granted || len(set.grants) > 0
		key := set.key()
		at, ok := sets[key]
		if !ok {
			at = uint32(len(d.sets))
			sets[key], d.sets = at, append(d.sets, set)
		}
		d.setOf[i] = at
		d.sets[at].members = append(d.sets[at].members, uint32(i))
	}
	return d
}

// key returns a key of all that the results of the set depend on.
func (s *destinationSet) key() string {
	key := []byte{s.kind, byte(s.families), 0}
	if s.byIP {
		key[2] = 1
	}
	for _, g := range s.grants {
		key = appendPortSet(key, g.ports)
		key = appendString(key, g.by.name())
	}
	return string(key)
}

// name returns a name of the rule, or nothing.
func (r DecidingRule) name() string {
	var key []byte
	switch {
	case r.Policy != nil:
		key = appendString(appendString(key, r.Policy.Namespace), r.Policy.Name)
	case r.ClusterPolicy != nil:
		key = appendString(append(key, 0, byte(r.ClusterPolicy.Kind)), r.ClusterPolicy.Name)
	default:
		return ""
	}
	return string(binary.AppendUvarint(key, uint64(r.Index)))
}

// appendPortSet appends a set of ports, so that different sets never look alike.
func appendPortSet(b []byte, s PortSet) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	for _, p := range s {
		b = append(b, byte(p.Protocol), byte(p.First>>8), byte(p.First), byte(p.Last>>8), byte(p.Last))
	}
	return b
}

// index files a destination at all by which rules name it, or it names others.
func (d *Destinations) index(i uint32, mine *role) {
	for _, id := range mine.selectors {
		d.bySelector[id] = append(d.bySelector[id], i)
	}
	for _, id := range slices.Concat(mine.blocks[0], mine.blocks[1]) {
		appendOnce(d.byBlock, id, i)
	}
	for _, p := range mine.ports {
		if list := d.byPortName[p.Name]; len(list) == 0 || list[len(list)-1] != i {
			d.byPortName[p.Name] = append(list, i)
		}
	}
	if mine.subject == nil {
		return
	}
	for _, t := range mine.subject.tiers {
		for _, u := range t.rules {
			for _, id := range u.selectors {
				appendOnce(d.rulesBySelector, id, i)
			}
			for _, id := range u.blocks {
				appendOnce(d.rulesByBlock, id, i)
			}
		}
	}
}

// appendOnce appends i to a list, unless it was the last to be appended.
func appendOnce(m map[uint32][]uint32, id, i uint32) {
	if list := m[id]; len(list) == 0 || list[len(list)-1] != i {
		m[id] = append(list, i)
	}
}

// Sets returns the members of each set, by their indexes, ascending. They must not be modified.
func (d *Destinations) Sets() [][]uint32 {
	list := make([][]uint32, len(d.sets))
	for i := range d.sets {
		list[i] = d.sets[i].members
	}
	return list
}

// From returns what a source reaches. It is empty for destinations of a kind that listed does not report. The
// Row is valid until the next call, and must not be modified.
func (d *Destinations) From(source uint32, listed func(kind uint8) bool) Row {
	src := d.roles.roles[asSource][source]
	d.meetSpecial(src)
	var row Row
	if len(d.special) == 0 && !d.granted {
		return row // most sources, if few destinations are asked about
	}
	excepted := map[uint32][]uint32{}
	byDefault := d.defaultsOf(src)
	for _, i := range d.special {
		set := d.setOf[i]
		if !listed(d.sets[set].kind) {
			continue
		}
		found := d.roles.Between(source, d.list[i].Role)
		if slices.EqualFunc(found, byDefault[set].Reaches, Reach.equal) {
			continue
		}
		excepted[set] = append(excepted[set], i)
		if len(found) > 0 {
			row.Singles = append(row.Singles, SingleReach{i, found})
		}
	}
	for i := range byDefault {
		s := byDefault[i]
		if len(s.Reaches) == 0 || !listed(d.sets[i].kind) {
			continue
		}
		if s.Except = excepted[s.Set]; len(s.Except) < len(d.sets[i].members) {
			slices.Sort(s.Except)
			row.Sets = append(row.Sets, s)
		}
	}
	return row
}

// equal reports whether results are the same.
func (a Reach) equal(b Reach) bool {
	return a.Families == b.Families && a.Egress == b.Egress && a.Ingress == b.Ingress && a.Ports.Equal(b.Ports)
}

// meetSpecial collects the destinations that may have another result than their set's.
func (d *Destinations) meetSpecial(src *role) {
	d.row++
	d.special = d.special[:0]
	for _, id := range src.selectors {
		d.meet(d.rulesBySelector[id])
	}
	for _, ids := range src.blocks {
		for _, id := range ids {
			d.meet(d.rulesByBlock[id])
		}
	}
	if src.subject == nil {
		return
	}
	for _, t := range src.subject.tiers {
		for _, u := range t.rules {
			for _, id := range u.selectors {
				d.meet(d.bySelector[id])
			}
			for _, id := range u.blocks {
				d.meet(d.byBlock[id])
			}
			for _, n := range u.names {
				if u.anyPeer { // otherwise a peer leads to the destination
					d.meet(d.byPortName[n.Name])
				}
			}
		}
	}
}

// meet adds destinations to those of the row.
func (d *Destinations) meet(list []uint32) {
	for _, i := range list {
		if d.seen[i] != d.row {
			d.seen[i] = d.row
			d.special = append(d.special, i)
		}
	}
}

// defaultsOf returns the result of every set for a source that no rule of theirs names, and of which no rule
// names them.
func (d *Destinations) defaultsOf(src *role) []SetReach {
	key := defaultKey{src.subject, src.families, src.byIP}
	if !d.granted {
		key = defaultKey{} // nothing, whatever the source
	}
	if list, ok := d.defaults[key]; ok {
		return list
	}
	out := d.roles.side(src.subject, &role{}, noFamily, nil)
	list := make([]SetReach, len(d.sets))
	for i := range d.sets {
		s := &d.sets[i]
		list[i].Set = uint32(i)
		other := role{families: s.families, byIP: s.byIP}
		list[i].Reaches = reaches(joinSides(out, s.grants), roleFamilies(src, &other))
	}
	d.defaults[key] = list
	return list
}
