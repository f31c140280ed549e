// Package watches finds the watched questions that a change of the cluster may have answered differently.
//
//	mirror.Source ─► Hub ─► questions ─► Watch: a queue of questions to ask (again) ─► its stream asks them
//
// A [Hub] follows the states. A [Watch] is what one stream watches. Its queue has each question at most once, so a
// slow reader costs no memory (P22): what it has not read is not remembered, but asked again when it can be sent.
//
// One lock guards all of it. It is held for bookkeeping alone: nobody decides, encodes or sends under it.
package watches
