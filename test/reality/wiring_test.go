//go:build linux

package reality

import "testing"

func TestWiring(t *testing.T) {
	w, err := wire([]uint16{80})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	all := w.places()
	for _, src := range all {
		for _, dst := range all {
			if src == dst {
				continue
			}
			for f := range families {
				for _, p := range []string{"tcp", "udp"} {
					c := connection{src, dst, f, port{p, 80}}
					if ok, err := c.probe().Opens(); !ok {
						t.Errorf("%s %v", c, err)
					}
				}
			}
		}
	}
}
