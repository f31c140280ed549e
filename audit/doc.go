// Package audit lists, compares and checks what an [engine.Snapshot] decides, and says what is closest to a
// denial.
//
// It is pure: it imports the engine alone, and neither reads a clock nor writes anything. Whatever takes long
// hands out its results one by one, ends when the caller closes a channel or has enough, and rests on one
// snapshot alone (A1). The rules A, L, E, X, D and N are those of docs/audit.md.
//
// All of it but explanations speaks of policy verdicts: what the policies say of every ordered pair, without
// the exemptions of a Pod to itself and to its own Node (A2).
package audit
