package decisionlog

import "github.com/netpold/netpold/server/internal/decisionid"

// Header is the key of the decision_id in the metadata of a response.
const Header = decisionid.Header

// An ID is a decision_id (G1, P4), as all doors make them.
type ID = decisionid.ID

// NewID returns a fresh ID.
func NewID() ID { return decisionid.New() }
