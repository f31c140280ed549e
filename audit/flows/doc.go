// Package flows holds flow records, what the network did, against decisions, what the policies say.
//
//	Reader ──> Record, one a line ──> the question, or why it is not asked (F2)
//	Record and its Answer ──> Judgement: agrees, disagrees, or why they are not compared (F3, F4)
//	Judgement ──> Summary, whose memory does not grow with the records (F6)
//
// The rules F1 to F7 are those of docs/audit.md. The package is pure: it reads from an [io.Reader] that it is
// given, and whoever uses it asks the questions.
package flows
