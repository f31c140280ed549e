package flows

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// choose finds the format, if it is not given, and makes ready to read it.
func (r *Reader) choose(o Options) error {
	names := newNames()
	if r.format == "" {
		r.format = Auto
	}
	csv := r.format == CSV
	if r.format == Auto {
		first, err := r.firstByte()
		if errors.Is(err, io.EOF) {
			return nil // There is nothing to read in any format.
		}
		csv = err == nil && first != '{' && first != '['
	}
	if csv {
		r.format, r.csv = CSV, newCSVReader(o, names, r.lines)
		return r.header(o)
	}
	if err := r.hold(); err != nil {
		return err
	}
	if r.format == Auto {
		r.format = detectJSON(r.held, o)
		if r.format == Auto {
			return unknownKeys(r.name, r.heldNumber, r.held)
		}
	}
	switch r.format {
	case Hubble:
		r.decode = (&hubbleReader{names: names}).read
	case Decisions:
		r.decode = (&decisionsReader{}).read
	default:
		r.decode = newJSONLReader(o, names).read
	}
	return nil
}

func (r *Reader) header(o Options) error {
	err := r.csv.header(o)
	var input *InputError
	switch {
	case err == nil:
		return nil
	case r.lines.err != nil && errors.Is(err, r.lines.err) && !errors.Is(err, io.EOF):
		return r.failed(err)
	case errors.As(err, &input):
		return err
	}
	return &InputError{File: r.name, Line: max(1, r.lines.number-1), Problem: err.Error()}
}

// firstByte returns the first byte that is no space, and skips the empty lines before it.
func (r *Reader) firstByte() (byte, error) {
	for at := 0; ; {
		text := r.lines.pending()
		if at == len(text) {
			if err := r.lines.fill(); err != nil {
				return 0, err
			}
			continue
		}
		switch c := text[at]; c {
		case ' ', '\t', '\r':
			at++
		case '\n':
			r.lines.take(at + 1)
			at = 0
		default:
			return c, nil
		}
	}
}

// hold reads the first line that is not empty, so that it can be looked at before it is a record.
func (r *Reader) hold() error {
	for {
		line, number, err := r.lines.line()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTooLong) && r.format == Auto:
			return &InputError{File: r.name, Line: number, Problem: fmt.Sprintf(
				"the format cannot be told from a first line of more than %d bytes; give the format", maxRecord)}
		case errors.Is(err, errTooLong):
			r.heldLong, r.heldNumber = true, number
			return nil
		case err != nil:
			return r.failed(err)
		}
		switch text := string(trimSpace(line)); {
		case text == "":
			continue
		case text == "{" || text[0] == '[':
			return &InputError{File: r.name, Line: number, Problem: "the JSON goes over several records or lines; " +
				"give one object a line, as \"jq -c .\" or, for an array, \"jq -c '.[]'\" write it"}
		}
		r.held, r.heldNumber = line, number
		return nil
	}
}

// detectJSON returns the format that the keys of a line tell; Auto if none of them says anything. A line that
// breaks off tells by the keys before.
func detectJSON(line []byte, o Options) Format {
	var s scanner
	s.reset(line)
	columns := map[string]bool{}
	for _, list := range columnsOf(o) {
		for _, column := range list {
			columns[column] = true
		}
	}
	column, dropped := false, false
	for more := s.enter('{', '}'); more; more = s.next('}') {
		switch key := string(s.key()); key {
		case "flow", "node_status", "nodeStatus", "lost_events", "lostEvents", "agent_event", "agentEvent",
			"debug_event", "debugEvent":
			return Hubble
		case "IP", "l4", "event_type", "eventType", "traffic_direction", "trafficDirection":
			return Hubble
		case "decision_id", "question":
			return Decisions
		case "dropped":
			dropped = true
		default:
			column = column || columns[key] && key != "time"
		}
		s.skip()
	}
	switch {
	case column:
		return JSONL
	case dropped:
		return Decisions
	}
	return Auto
}

// unknownKeys returns the error of a first line that no format knows a key of.
func unknownKeys(name string, number int, line []byte) error {
	var s scanner
	s.reset(line)
	var keys []string
	for more := s.enter('{', '}'); more; more = s.next('}') {
		keys = append(keys, quotedBytes(s.key()))
		s.skip()
	}
	if s.end(); s.problem != "" {
		return &InputError{File: name, Line: number, Problem: "the format cannot be told from the first line: " +
			s.problem + ", or give the --format"}
	}
	found := "none"
	if n := len(keys); n > maxShown {
		found = fmt.Sprintf("%s and %d more", strings.Join(keys[:maxShown], ", "), n-maxShown)
	} else if n > 0 {
		found = strings.Join(keys, ", ")
	}
	return &InputError{File: name, Line: number, Problem: "the format cannot be told from the keys of the " +
		"first line: " + found + "; give the --format, or map them with --columns src=COLUMN,dst=COLUMN,port=COLUMN"}
}
