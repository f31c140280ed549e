//go:build linux

package reality

import (
	"slices"
	"testing"
)

// TestWiring proves that without a plugin every place reaches every other. On a busy machine one may be late.
func TestWiring(t *testing.T) {
	requireRoot(t)
	w, err := wire([]uint16{80})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var list []connection
	for _, src := range w.places() {
		for _, dst := range w.places() {
			for f := range families {
				if src != dst {
					list = append(list, connection{src, dst, f, port{"tcp", 80}}, connection{src, dst, f, port{"udp", 80}})
				}
			}
		}
	}
	for range 5 {
		opened, err := try(list)
		if err != nil {
			t.Fatal(err)
		}
		at := -1
		list = slices.DeleteFunc(list, func(connection) bool { at++; return opened[at] })
	}
	for _, c := range list {
		t.Errorf("%s does not open", c)
	}
}
