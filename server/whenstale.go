package server

// WhenStale says what happens to questions while the cluster's state is stale.
type WhenStale string

// The values of [WhenStale]; empty is AnswerWhenStale.
const (
	// AnswerWhenStale answers from the last state. Each response says that it is stale.
	AnswerWhenStale WhenStale = "answer"
	// DenyWhenStale answers nothing: every question gets UNAVAILABLE with the reason STALE.
	DenyWhenStale WhenStale = "deny"
)
