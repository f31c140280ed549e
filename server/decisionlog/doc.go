// Package decisionlog writes one record for each decision (G1 to G4): to a file, to a pipe, or elsewhere.
//
// The way of a record, from the call to the file:
//
//	interceptor ── chooser ──> entry, or nothing: left out by sampling        (G2)
//	entry ── queue, bounded ──> writer; when full: dropped and counted        (G3)
//	writer ── lines of JSON ──> sink: a file, standard output, an [Exporter]  (G3, G4)
//
// A decision pays for choosing and for one append to the queue. All encoding is the writer's. The messages of
// a call do not change once it is answered, so an entry holds them as they are. A stream reuses its messages,
// so an entry of a stream holds a copy of what is written.
package decisionlog
