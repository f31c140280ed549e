package render

import (
	"encoding/csv"
	"strconv"
	"strings"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// flowFields are the columns of flows as CSV, in order. src and dst are as in the record, src_name and dst_name what
// they turned out to be; policies are those of a denied record and of one that disagrees.
var flowFields = []string{
	"file", "line", "time", "src", "src_name", "dst", "dst_name", "port", "protocol", "observed", "direction",
	"verdict", "reason", "compared", "why", "policies", "error", "revision",
}

// FlowCSVTitles writes the line of titles of flows as CSV.
func FlowCSVTitles(w *csv.Writer) error { return w.Write(flowFields) }

// FlowCSV writes a record as a line of CSV.
func FlowCSV(w *csv.Writer, f *FlowLine) error {
	fields := []string{
		f.GetFile(), strconv.FormatUint(uint64(f.GetLine()), 10), empty(flowTime(f.GetTime())), f.GetSrc(), f.SrcName,
		f.GetDst(), f.DstName, number(f.GetPort()), Protocol(f.GetProtocol()), f.GetObserved(),
		enumWord(f.GetDirection().String(), "DIRECTION_"), empty(flowVerdict(f.Flow)),
		enumWord(f.GetReason().String(), "REASON_"), f.GetCompared(), f.GetWhy(), FlowPolicies(f.Flow),
		f.GetError().GetMessage(), number(f.GetRevision()),
	}
	if f.GetPort() == 0 {
		fields[8] = ""
	}
	return writeFlowCSV(w, fields)
}

// FlowPairsCSV writes the pairs of a summary as CSV, with a line of titles.
func FlowPairsCSV(w *csv.Writer, s *netpoldv1.FlowSummary) error {
	if err := w.Write([]string{
		"src", "dst", "port", "protocol", "records", "allowed", "denied", "agrees", "disagrees", "not_compared", "first",
		"last",
	}); err != nil {
		return err
	}
	for _, p := range s.GetPairs() {
		if err := writeFlowCSV(w, []string{
			p.GetSrc(), p.GetDst(), number(p.GetPort()), Protocol(p.GetProtocol()), digits(p.GetRecords()),
			digits(p.GetAllowed()), digits(p.GetDenied()), digits(p.GetAgrees()), digits(p.GetDisagrees()),
			digits(p.GetNotCompared()), empty(flowTime(p.GetFirst())), empty(flowTime(p.GetLast())),
		}); err != nil {
			return err
		}
	}
	return nil
}

func writeFlowCSV(w *csv.Writer, fields []string) error {
	for i := range fields {
		fields[i] = noFormula(fields[i])
	}
	return w.Write(fields)
}

// number returns digits; "" for 0.
func number[N uint32 | uint64](n N) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

// empty returns text, or "" for a dash.
func empty(text string) string {
	if text == "-" {
		return ""
	}
	return text
}

// enumWord returns the name of an enum's value without its prefix; "" for UNSPECIFIED.
func enumWord(name, prefix string) string {
	word := strings.TrimPrefix(name, prefix)
	if word == "UNSPECIFIED" {
		return ""
	}
	return word
}
