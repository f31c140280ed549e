package server

import (
	"context"
	"os"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisionlog"
	"github.com/netpold/netpold/server/decisionlog/otlp"
)

// DecisionLogOTLP is the Config.DecisionLog that exports the records as logs of OpenTelemetry, as the OTEL_*
// variables of the environment say.
const DecisionLogOTLP = "otlp"

// openDecisionLog opens the decision log; nil if it is off.
func openDecisionLog(config *Config) (*decisionlog.Log, error) {
	if config.DecisionLog == "" {
		return nil, nil
	}
	if config.Stdout == nil {
		config.Stdout = os.Stdout
	}
	var exporter decisionlog.Exporter
	if config.DecisionLog == DecisionLogOTLP {
		opened, err := otlp.New(context.Background(), config.Version)
		if err != nil {
			return nil, fieldError("DecisionLog", config.DecisionLog, err)
		}
		exporter = opened
	}
	log, err := decisionlog.Open(decisionlog.Options{
		Path:        config.DecisionLog,
		Exporter:    exporter,
		Stdout:      config.Stdout,
		Sample:      config.DecisionLogSample,
		DenialsOnly: config.DecisionLogDenialsOnly,
		Queue:       config.DecisionLogQueue,
		Logger:      config.Logger,
	})
	if err != nil {
		return nil, fieldError("DecisionLog", config.DecisionLog, err)
	}
	return log, nil
}

// decisionLogStatus returns what GetStatus says of the decision log; nil if it is off.
func (s *Server) decisionLogStatus() func() *netpoldv1.DecisionLogStatus {
	if s.decisions == nil {
		return nil
	}
	return func() *netpoldv1.DecisionLogStatus {
		status := s.decisions.Status()
		return &netpoldv1.DecisionLogStatus{
			Target: status.Target, Written: status.Written, Dropped: status.Dropped, Queued: uint32(status.Queued),
			Error: status.Failure,
		}
	}
}

// closeDecisionLog closes the decision log of a server that does not run.
func (s *Server) closeDecisionLog() error {
	if s.decisions == nil {
		return nil
	}
	return s.decisions.Close()
}

// ReopenDecisionLog opens the path of the decision log again, after a rotation has moved the file away. It
// does not block, and reports whether there is a decision log.
func (s *Server) ReopenDecisionLog() bool {
	if s.decisions == nil {
		return false
	}
	s.decisions.Reopen()
	return true
}

// writeDecisions writes the decision log until the function that it returns is called. That one also writes
// what is queued, and blocks for some seconds at most.
func (s *Server) writeDecisions() (end func()) {
	if s.decisions == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.decisions.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			s.log.Error("the decision log is not complete", "error", err)
		}
	}
}
