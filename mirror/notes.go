package mirror

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/proto/notes"
)

// maxNamed is how many objects a note names. It counts the others.
const maxNamed = 3

// Notes returns what a caller may not know about the whole state, in a fixed order. GetStatus, the log of
// `netpold serve` and `netpold check` all show these notes. Notes reads every policy, so call it for a new
// state or a person, not for every question.
func Notes(status *Status, snapshot *engine.Snapshot) []notes.Note {
	return inOrder(status, snapshot, NotesOf(status, snapshot), status.Unmodelled)
}

// SnapshotNotes are the notes of a snapshot that only a look at all of its policies gives. The zero
// SnapshotNotes has none.
type SnapshotNotes struct{ idle, namespaces, departures string }

// NotesOf reads every policy of a snapshot. Of status it needs what decisions follow, which never changes.
// Call it once for each snapshot.
func NotesOf(status *Status, snapshot *engine.Snapshot) SnapshotNotes {
	return SnapshotNotes{
		idle: policiesSelectingNothing(snapshot), namespaces: noNamespaces(snapshot),
		departures: departures(&status.Meaning, snapshot),
	}
}

// NotesAbout returns the notes of the whole state for an answer about Pods of these namespaces, in the order
// of [Notes]. Of the kinds that are not modelled it returns those that concern the namespaces. It skips empty
// namespaces. known must be of the same snapshot.
func NotesAbout(
	status *Status, snapshot *engine.Snapshot, known SnapshotNotes, namespaces ...string,
) []notes.Note {
	var concerned []UnmodelledKind
	for i := range status.Unmodelled {
		kind := &status.Unmodelled[i]
		if slices.ContainsFunc(namespaces, func(ns string) bool { return ns != "" && kind.Concerns(ns) }) {
			concerned = append(concerned, *kind)
		}
	}
	return inOrder(status, snapshot, known, concerned)
}

// inOrder returns the notes of a state. Of the kinds that are not modelled it names those in concerned.
func inOrder(
	status *Status, snapshot *engine.Snapshot, known SnapshotNotes, concerned []UnmodelledKind,
) []notes.Note {
	var all []notes.Note
	add := func(code, message string) {
		if message != "" {
			all = append(all, notes.Note{Code: code, Message: message})
		}
	}
	add(notes.PartialView, partialView(status))
	add(notes.NotEnforced, notEnforced(status, snapshot))
	add(notes.NoPolicies, noPolicies(status, snapshot))
	add(notes.PluginDiffers, known.departures)
	add(notes.UnmodelledPolicies, unmodelled(concerned))
	add(notes.PolicySelectsNothing, known.idle)
	add(notes.NoNamespaces, known.namespaces)
	add(notes.FilesLeftOut, FilesLeftOut(status.LeftOut))
	return all
}

func partialView(status *Status) string {
	if status.OnlyNamespace == "" {
		return ""
	}
	return fmt.Sprintf("only namespace %s is seen: Pods and Nodes elsewhere count as addresses outside "+
		"the cluster, and policies elsewhere are unknown", status.OnlyNamespace)
}

func noPolicies(status *Status, snapshot *engine.Snapshot) string {
	counts := snapshot.Counts()
	if counts.Policies > 0 {
		return ""
	}
	for _, n := range counts.ClusterPolicies {
		if n > 0 {
			return ""
		}
	}
	text := "no NetworkPolicy and no cluster-wide policy was read"
	if status.Meaning.IgnoresTiers() { // there may be some
		text = "no NetworkPolicy was read"
	}
	if len(status.Unmodelled) > 0 {
		return text
	}
	return text + ", so that every connection is allowed"
}

func unmodelled(kinds []UnmodelledKind) string {
	if len(kinds) == 0 {
		return ""
	}
	texts := make([]string, len(kinds))
	for i := range kinds {
		texts[i] = kinds[i].String()
	}
	return "these decide traffic too, and netpold does not model them: " + strings.Join(texts, ", ") +
		"; answers may differ from what the cluster does"
}

// String returns the kind and the number of its objects. Example: "CiliumNetworkPolicy.cilium.io (3)".
func (k *UnmodelledKind) String() string {
	if !k.Counted {
		return k.Name() + " (not counted: no right to list it)"
	}
	return fmt.Sprintf("%s (%d)", k.Name(), k.Count)
}

func policiesSelectingNothing(snapshot *engine.Snapshot) string {
	idle := snapshot.IdlePolicies()
	if len(idle) == 0 {
		return ""
	}
	var names, unknown []string
	for _, p := range idle {
		if len(names) < maxNamed {
			names = append(names, nameOf(p))
		}
		if p.NamespaceUnknown && !slices.Contains(unknown, p.Namespace) {
			unknown = append(unknown, p.Namespace)
		}
	}
	subject := "1 policy selects"
	if len(idle) > 1 {
		subject = fmt.Sprintf("%d policies select", len(idle))
	}
	text := fmt.Sprintf("%s no Pod: %s", subject, listed(names, len(idle)))
	if len(unknown) > 0 {
		text += fmt.Sprintf("; no Namespace or Pod was read of %s: is metadata.namespace right?",
			listed(unknown, len(unknown)))
	}
	return text
}

// nameOf returns the name of a policy, with the kind of one that is cluster-wide.
func nameOf(p engine.IdlePolicy) string {
	if p.Namespace == "" {
		return p.Kind + " " + p.Name
	}
	return p.Namespace + "/" + p.Name
}

func noNamespaces(snapshot *engine.Snapshot) string {
	if snapshot.Counts().Namespaces > 0 || !snapshot.AsksNamespaceLabels() {
		return ""
	}
	return "no Namespace was read, and policies ask for labels of Namespaces: a namespaceSelector sees only " +
		"kubernetes.io/metadata.name; add the Namespaces"
}

// FilesLeftOut returns which files were not read and why, in words; "" for none.
func FilesLeftOut(files []LeftOutFiles) string {
	if len(files) == 0 {
		return ""
	}
	texts := make([]string, len(files))
	count := 0
	for i, f := range files {
		texts[i] = fmt.Sprintf("%s: %s", f.Reason, listed(f.Examples, f.Count))
		count += f.Count
	}
	subject := "1 file was"
	if count != 1 {
		subject = fmt.Sprintf("%d files were", count)
	}
	return subject + " left out: " + strings.Join(texts, "; ")
}

// listed joins the first few of n names. Example: "a, b, c and 7 more".
func listed(first []string, n int) string {
	first = first[:min(len(first), maxNamed)]
	text := strings.Join(first, ", ")
	if more := n - len(first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
