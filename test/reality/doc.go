// Package reality asks netpold about connections and then opens them, on a network whose Nodes run a real
// network plugin against a real API server. docs/reality.md tells more.
package reality
