package engine

import (
	"testing"
	"unsafe"
)

// TestLayout guards what the speed of a decision rests on: whole cache lines, in objects that begin at one.
func TestLayout(t *testing.T) {
	if n := unsafe.Sizeof(hotClass{}); n != 64 {
		t.Errorf("a hotClass has %d bytes, want 64", n)
	}
	if n := unsafe.Sizeof(class{}); n > 208 {
		t.Errorf(
			"a class has %d bytes, want 208 at most, as without cluster-wide policies: see classTiers", n,
		)
	}
	if n := unsafe.Sizeof(pod{}); n > 128 {
		t.Errorf("a pod has %d bytes, want 128 at most, a size that the allocator has", n)
	}
	if n := unsafe.Sizeof(ruleRef{}); n != 16 {
		t.Errorf("a ruleRef has %d bytes, want 16", n)
	}
	if n := unsafe.Sizeof(ruleTable{}); n != 384 {
		t.Errorf("a rule table has %d bytes, want 384, a size of six cache lines that the allocator has", n)
	}
	if n := unsafe.Offsetof(ruleTable{}.policies); n != 64 {
		t.Errorf("the first part of a rule table has %d bytes, want 64", n)
	}
}
