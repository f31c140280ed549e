package decisionlog

import (
	"context"
	"time"
)

// exportTime is how long one attempt to export may take.
const exportTime = 10 * time.Second

// An exportSink gives lines to an [Exporter].
type exportSink struct {
	exporter Exporter
	// reject counts records that were rejected for good.
	reject func(n int)
	// ended ends attempts in progress.
	ended context.Context //nolint:containedctx // it is what interrupt ends
	end   context.CancelFunc
}

func newExportSink(e Exporter, reject func(n int)) *exportSink {
	s := &exportSink{exporter: e, reject: reject}
	s.ended, s.end = context.WithCancel(context.Background())
	return s
}

// write implements sink.
func (s *exportSink) write(l *lines) error {
	for i := range l.records {
		r := &l.records[i]
		r.JSON = l.text[r.from:r.to]
	}
	ctx, cancel := context.WithTimeout(s.ended, exportTime)
	defer cancel()
	n, err := s.exporter.Export(ctx, l.records)
	if err != nil {
		return err
	}
	n = min(n, len(l.records)-len(l.dropped)) // a line about dropped records is none
	s.reject(n)
	l.sent, l.rejected = len(l.text), n
	return nil
}

// reopen implements sink. An endpoint has nothing to open.
func (s *exportSink) reopen(*lines) error { return nil }

// interrupt implements sink.
func (s *exportSink) interrupt() { s.end() }

// close implements sink.
func (s *exportSink) close(*lines) error {
	defer s.end()
	ctx, cancel := context.WithTimeout(s.ended, stalled)
	defer cancel()
	return s.exporter.Shutdown(ctx)
}

func (s *exportSink) target() string { return s.exporter.Target() }
