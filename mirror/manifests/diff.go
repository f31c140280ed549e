package manifests

import (
	"reflect"

	"github.com/netpold/netpold/engine"
)

// changesTo returns the changes from one set of objects to another, and the other set. Objects that are equal
// keep their memory.
func changesTo(was map[engine.ObjectKey]engine.Object,
	objects []engine.Object) ([]engine.Change, map[engine.ObjectKey]engine.Object) {
	var changes []engine.Change
	now := make(map[engine.ObjectKey]engine.Object, len(objects))
	for _, o := range objects {
		k := engine.KeyOf(o)
		if old, ok := was[k]; ok && reflect.DeepEqual(old, o) {
			now[k] = old
			continue
		}
		now[k] = o
		changes = append(changes, engine.Change{Object: o})
	}
	for k, o := range was {
		if _, stays := now[k]; !stays {
			changes = append(changes, engine.Change{Object: o, Delete: true})
		}
	}
	return changes, now
}
