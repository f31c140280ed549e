package cli

import (
	"encoding/csv"
	"io"

	"github.com/netpold/netpold/cmd/render"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// A flowPrinter prints an audit of flows in a form -o. It keeps whole lines until flush, or until they are many.
type flowPrinter interface {
	header(*netpoldv1.AuditHeader) error
	// flow prints a record, which it does not keep.
	flow(*render.FlowLine) error
	summary(*netpoldv1.FlowSummary) error
	flush() error
}

// newFlowPrinter returns a printer. alone means that the records are not printed, only the summary.
func newFlowPrinter(output string, out io.Writer, alone bool) flowPrinter {
	lines := &lineBuffer{out: out}
	switch output {
	case jsonOutput:
		return &flowJSON{lines}
	case csvOutput:
		return &flowCSV{lines, csv.NewWriter(lines), alone}
	}
	return &flowTable{lines, alone}
}

// A lineBuffer collects whole lines, and writes many at once.
type lineBuffer struct {
	out  io.Writer
	text []byte
}

// Write implements [io.Writer]. It does not fail.
func (l *lineBuffer) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	return len(p), nil
}

// full writes the lines if they are many.
func (l *lineBuffer) full() error {
	if len(l.text) < linesAtOnce {
		return nil
	}
	return l.flush()
}

func (l *lineBuffer) flush() error {
	if len(l.text) == 0 {
		return nil
	}
	_, err := l.out.Write(l.text)
	l.text = l.text[:0]
	return written(err)
}

// A flowJSON prints lines of JSON (A6, F1).
type flowJSON struct{ *lineBuffer }

func (j *flowJSON) header(h *netpoldv1.AuditHeader) error {
	return render.JSONLine(j, &netpoldv1.FlowAudit{Item: &netpoldv1.FlowAudit_Header{Header: h}})
}

func (j *flowJSON) flow(f *render.FlowLine) error {
	j.text = render.AppendFlow(j.text, f.Flow)
	return j.full()
}

func (j *flowJSON) summary(s *netpoldv1.FlowSummary) error {
	return render.JSONLine(j, &netpoldv1.FlowAudit{Item: &netpoldv1.FlowAudit_Summary{Summary: s}})
}

// A flowTable prints for people.
type flowTable struct {
	*lineBuffer
	// begun reports whether there is no need for titles.
	begun bool
}

func (*flowTable) header(*netpoldv1.AuditHeader) error { return nil }

func (t *flowTable) flow(f *render.FlowLine) error {
	if !t.begun {
		t.begun = true
		t.text = append(t.text, render.FlowTitles()...)
	}
	t.text = append(t.text, render.FlowRow(f)...)
	return t.full()
}

func (t *flowTable) summary(s *netpoldv1.FlowSummary) error {
	if len(t.text) > 0 || t.begun {
		t.text = append(t.text, '\n')
	}
	return render.FlowSummary(t, s)
}

// A flowCSV prints records as CSV or, if alone is set, the pairs.
type flowCSV struct {
	*lineBuffer
	csv   *csv.Writer
	alone bool
}

func (c *flowCSV) header(*netpoldv1.AuditHeader) error {
	if c.alone {
		return nil
	}
	return render.FlowCSVTitles(c.csv)
}

func (c *flowCSV) flow(f *render.FlowLine) error {
	if err := render.FlowCSV(c.csv, f); err != nil {
		return err
	}
	c.csv.Flush()
	return c.full()
}

func (c *flowCSV) summary(s *netpoldv1.FlowSummary) error {
	if !c.alone {
		return nil
	}
	return render.FlowPairsCSV(c.csv, s)
}

func (c *flowCSV) flush() error {
	c.csv.Flush()
	return c.lineBuffer.flush()
}
