// Package html writes a list of connections, or a difference between two, as one HTML file for people: a
// matrix of workloads, a graph, and a list that can be printed and read aloud.
//
// The file needs no network and no server. Its data are the JSON lines of the method's stream, as `-o json`
// prints them without default values, in a script element that the browser does not run. Its own script
// builds the page from them, and sets text only as text. Its Content-Security-Policy allows that one script
// and that one style by their hashes, and forbids every request.
//
// The file is written while messages come. A file that breaks off says that it is incomplete.
package html

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// MaxWorkloads is the default of Options.MaxWorkloads. With more, the file gets too large to send, and the
// page too slow to use.
const MaxWorkloads = 2000

// Options says what was asked. The zero value is a list of everything.
type Options struct {
	// Request is what the list was asked for; nil is everything. For a difference, set what it has in common
	// with a list: src, dst, protocol, ports, include.
	Request *netpoldv1.ListConnectionsRequest
	// Command is the request in words, for the head of the page. Empty shows none.
	Command string
	// MaxWorkloads is how many workloads a report shows one by one; with more it shows namespaces alone, and
	// says so. Default: MaxWorkloads.
	MaxWorkloads int
}

// List writes a list of connections. It is not safe for concurrent use.
type List struct{ report }

// NewList returns a List that writes to w.
func NewList(w io.Writer, o Options) *List { return &List{newReport(w, o, "list")} }

// Write takes the next message of the stream. It does not keep m, except for groups, which must not be
// modified afterwards.
func (l *List) Write(m *netpoldv1.ListConnectionsResponse) error {
	switch item := m.GetItem().(type) {
	case *netpoldv1.ListConnectionsResponse_Progress:
		return nil
	case *netpoldv1.ListConnectionsResponse_Group:
		return l.group(m, item.Group)
	case *netpoldv1.ListConnectionsResponse_Set:
		return l.line(m, func(o *overview) { o.set(item.Set) })
	case *netpoldv1.ListConnectionsResponse_Connection:
		return l.line(m, func(o *overview) { o.connection(item.Connection) })
	case *netpoldv1.ListConnectionsResponse_Exposure:
		return l.line(m, func(*overview) {})
	case *netpoldv1.ListConnectionsResponse_Summary:
		return l.summary(m)
	default:
		return l.print(m)
	}
}

// Diff writes a difference. It is not safe for concurrent use.
type Diff struct{ report }

// NewDiff returns a Diff that writes to w.
func NewDiff(w io.Writer, o Options) *Diff { return &Diff{newReport(w, o, "diff")} }

// Write takes the next message of the stream, as List.Write does. Answers to questions have no place in the
// report; they are refused, so that none is lost without a word.
func (d *Diff) Write(m *netpoldv1.SimulateResponse) error {
	switch item := m.GetItem().(type) {
	case *netpoldv1.SimulateResponse_Progress:
		return nil
	case *netpoldv1.SimulateResponse_Group:
		return d.group(m, item.Group)
	case *netpoldv1.SimulateResponse_Set:
		return d.line(m, func(o *overview) { o.set(item.Set) })
	case *netpoldv1.SimulateResponse_Change:
		return d.line(m, func(o *overview) { o.change(item.Change) })
	case *netpoldv1.SimulateResponse_Answer:
		return errors.New("an HTML report has no place for answers to questions; use -o json")
	case *netpoldv1.SimulateResponse_Summary:
		return d.summary(m)
	default:
		return d.print(m)
	}
}

// report is what List and Diff share.
type report struct {
	w       *bufio.Writer
	options Options
	kind    string
	begun   bool // the head of the file is written
	// held are the groups so far: how many there are decides whether they are written.
	held   []proto.Message
	groups []*netpoldv1.Group
	listed bool      // all groups have come
	over   *overview // instead of single workloads; nil when all are shown
}

func newReport(w io.Writer, o Options, kind string) report {
	if o.MaxWorkloads <= 0 {
		o.MaxWorkloads = MaxWorkloads
	}
	return report{w: bufio.NewWriterSize(w, 1<<16), options: o, kind: kind}
}

// Close writes the end of the file. It does not close the underlying writer.
func (r *report) Close() error {
	if err := r.endGroups(); err != nil {
		return err
	}
	if err := r.text(pageTail); err != nil {
		return err
	}
	if err := r.w.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func (r *report) group(m proto.Message, g *netpoldv1.Group) error {
	if r.listed {
		return fmt.Errorf("group %d came after a connection", g.GetId())
	}
	r.held = append(r.held, m)
	r.groups = append(r.groups, g)
	return nil
}

// line writes a message that comes after the groups. A report by namespaces sums it up instead.
func (r *report) line(m proto.Message, sumUp func(*overview)) error {
	if err := r.endGroups(); err != nil {
		return err
	}
	if r.over != nil {
		sumUp(r.over)
		return nil
	}
	return r.print(m)
}

// summary writes what a report by namespaces has gathered, and then the last message.
func (r *report) summary(m proto.Message) error {
	if err := r.endGroups(); err != nil {
		return err
	}
	if r.over != nil {
		for _, v := range r.over.lines() {
			if err := r.printJSON(v); err != nil {
				return err
			}
		}
	}
	return r.print(m)
}

// endGroups decides once, when all groups are known, whether to write them or to sum them up.
func (r *report) endGroups() error {
	if r.listed {
		return nil
	}
	r.listed = true
	asked := struct {
		Src asked `json:"src"`
		Dst asked `json:"dst"`
	}{askedOf(r.options.Request.GetSrc(), r.groups), askedOf(r.options.Request.GetDst(), r.groups)}
	workloads := countWorkloads(r.groups)
	held := r.held
	r.held = nil
	// A workload can have several groups. The page's work grows with the groups, so they have a limit too.
	if workloads > r.options.MaxWorkloads || len(r.groups) > 3*r.options.MaxWorkloads {
		r.over = newOverview(r.groups, &r.options, asked.Src, asked.Dst)
		return r.printJSON(map[string]any{"leftOut": map[string]int{
			"workloads": workloads, "groups": len(r.groups), "limit": r.options.MaxWorkloads,
		}})
	}
	if err := r.printJSON(map[string]any{"asked": asked}); err != nil {
		return err
	}
	for _, m := range held {
		if err := r.print(m); err != nil {
			return err
		}
	}
	return nil
}

// begin writes the head of the file, and the line that says what the report is.
func (r *report) begin() error {
	if r.begun {
		return nil
	}
	r.begun = true
	if err := r.text(pageHead); err != nil {
		return err
	}
	request := r.options.Request
	if request == nil {
		request = &netpoldv1.ListConnectionsRequest{}
	}
	raw, err := protojson.Marshal(request)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return r.printJSON(map[string]any{"report": map[string]any{
		"kind": r.kind, "command": r.options.Command, "request": json.RawMessage(raw),
	}})
}

// print writes a message as one line of JSON.
func (r *report) print(m proto.Message) error {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return r.printRaw(raw)
}

func (r *report) printJSON(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return r.printRaw(raw)
}

// printRaw writes JSON without spaces, and in such a way that no value can end or change the script element:
// with <, > and & as escapes. protojson varies its white space on purpose; printRaw does not.
func (r *report) printRaw(raw []byte) error {
	if err := r.begin(); err != nil {
		return err
	}
	var compact, escaped bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	json.HTMLEscape(&escaped, compact.Bytes())
	escaped.WriteByte('\n')
	if _, err := escaped.WriteTo(r.w); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func (r *report) text(text string) error {
	if _, err := r.w.WriteString(text); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
