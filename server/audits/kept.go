package audits

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/internal/current"
	"github.com/netpold/netpold/server/internal/wire"
)

const (
	// keepFor is how long a list that broke off is kept.
	keepFor = time.Minute
	// maxKept limits the lists that are kept: each holds a snapshot, and what was worked out of it.
	maxKept = 4
)

// A keptList is a list in progress, or one that broke off.
type keptList struct {
	id listID
	// digest is of the request, but for its cursor and max_connections.
	digest  [sha256.Size]byte
	state   current.State
	request *audit.ListRequest
	// walk is where the list broke off; nil while a call goes on with it.
	walk *listWalk
	// until ends the list's time; nil while a call goes on with it.
	until *time.Timer
}

// keptLists has the lists that a cursor can go on with. It is safe for concurrent use.
type keptLists struct {
	key cursorKey

	mu   sync.Mutex
	list []*keptList // those that broke off, the oldest first, and those in progress
}

func newKeptLists() *keptLists { return &keptLists{key: newCursorKey()} }

// digestOf returns what a cursor is bound to of a request.
func digestOf(req *netpoldv1.ListConnectionsRequest) [sha256.Size]byte {
	own := proto.CloneOf(req)
	own.Cursor, own.MaxConnections = "", 0
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(own)
	if err != nil { // a string that is not UTF-8, which the transport rejects
		raw = fmt.Append(nil, err)
	}
	return sha256.Sum256(raw)
}

// begin registers a list in progress.
func (k *keptLists) begin(req *netpoldv1.ListConnectionsRequest, state current.State,
	request *audit.ListRequest) *keptList {
	l := &keptList{id: newListID(), digest: digestOf(req), state: state, request: request}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, l)
	return l
}

// resume returns the list of the request's cursor, and where to go on. walk is nil if the list must be worked
// out anew.
func (k *keptLists) resume(req *netpoldv1.ListConnectionsRequest) (
	l *keptList, walk *listWalk, position uint64, fail *wire.Failure,
) {
	c, formed, own := k.key.decode(req.GetCursor())
	switch {
	case !formed:
		return nil, nil, 0, wire.Invalid([]*errdetails.BadRequest_FieldViolation{{Field: "cursor",
			Description: "is no cursor of netpold; give that of the list's last progress or summary, or leave it out"}})
	case !own:
		return nil, nil, 0, wire.CursorExpired("it is of another server, or of this one before it was started anew")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	at := slices.IndexFunc(k.list, func(l *keptList) bool { return l.id == c.list })
	if at < 0 {
		return nil, nil, 0, wire.CursorExpired(fmt.Sprintf("the list is no longer kept: that is done for %v, of the "+
			"last %d that broke off", keepFor, maxKept))
	}
	l = k.list[at]
	if l.digest != digestOf(req) {
		return nil, nil, 0, wire.Invalid([]*errdetails.BadRequest_FieldViolation{{Field: "cursor",
			Description: "is of another request; give the fields of that one, all but max_connections"}})
	}
	l.pause()
	if l.walk != nil && l.walk.position == c.position {
		walk, l.walk = l.walk, nil
	}
	return l, walk, c.position, nil
}

// pause stops the end of the list's time.
func (l *keptList) pause() {
	if l.until != nil {
		l.until.Stop()
		l.until = nil
	}
}

// keep keeps a list that broke off, for a while.
func (k *keptLists) keep(l *keptList, walk *listWalk) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(l)
	l.walk = walk
	l.until = k.timer(l)
	k.list = append(k.list, l)
	waiting := 0
	for _, other := range slices.Backward(slices.Clone(k.list)) {
		if other.until == nil {
			continue
		}
		if waiting++; waiting > maxKept {
			k.remove(other)
		}
	}
}

// timer returns a timer that forgets the list when it fires, unless somebody goes on with the list just then.
func (k *keptLists) timer(l *keptList) *time.Timer {
	var own *time.Timer
	own = time.AfterFunc(keepFor, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.until == own {
			k.remove(l)
		}
	})
	return own
}

// drop forgets a list that is complete.
func (k *keptLists) drop(l *keptList) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(l)
}

func (k *keptLists) remove(l *keptList) {
	l.pause()
	k.list = slices.DeleteFunc(k.list, func(other *keptList) bool { return other == l })
}
