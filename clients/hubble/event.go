package hubble

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/cilium/api/v1/relay"
)

// EventKind is what happened to a connection, or behind it.
type EventKind int

// The kinds of events.
const (
	// Disconnected means that the connection broke. Message says why. It is tried again.
	Disconnected EventKind = iota
	// Reconnected means that flows come again.
	Reconnected
	// NodesConnected means that Relay sees flows of these nodes.
	NodesConnected
	// NodesMissing means that Relay does not see flows of these nodes. Message may say why.
	NodesMissing
	// EventsLost means that Hubble could not keep up, and that flows are missing. Count is the total of all
	// events that it said to have lost. This event comes when the total has doubled.
	EventsLost
)

// An Event is what a person who waits for flows should know.
type Event struct {
	Kind    EventKind
	Nodes   []string
	Count   uint64
	Message string
}

// namesShown is how many nodes a text names.
const namesShown = 10

// String returns the event in words, on one line.
func (e Event) String() string {
	switch e.Kind {
	case Disconnected:
		return "disconnected: " + e.Message + ": trying again"
	case Reconnected:
		return "connected again"
	case NodesConnected:
		return "flows of " + e.nodes()
	case NodesMissing:
		text := "no flows of " + e.nodes() + " until Relay reaches them again"
		if e.Message != "" {
			text += ": " + e.Message
		}
		return text
	case EventsLost:
		return fmt.Sprintf("Hubble lost %d events so far: it could not keep up, or its flows are not read fast "+
			"enough (%s)", e.Count, e.Message)
	default:
		return e.Message
	}
}

// nodes returns the names, or how many there are beyond the first ten.
func (e Event) nodes() string {
	text := "1 node"
	if len(e.Nodes) != 1 {
		text = strconv.Itoa(len(e.Nodes)) + " nodes"
	}
	shown := e.Nodes[:min(len(e.Nodes), namesShown)]
	if len(shown) > 0 {
		text += " (" + strings.Join(shown, ", ")
		if len(shown) < len(e.Nodes) {
			text += ", ..."
		}
		text += ")"
	}
	return text
}

// nodesEvent returns the event for what Relay says of nodes.
func nodesEvent(s *relay.NodeStatusEvent) Event {
	e := Event{Kind: NodesMissing, Nodes: s.GetNodeNames(), Message: oneLine(s.GetMessage())}
	if s.GetStateChange() == relay.NodeState_NODE_CONNECTED {
		e.Kind = NodesConnected
	}
	return e
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
