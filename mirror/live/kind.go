package live

import (
	"slices"

	"github.com/netpold/netpold/mirror/convert"
)

// A resourceIndex is the index of a resource in [convert.Kinds].
type resourceIndex uint8

const resourceCount = convert.KindCount

// kindOf returns the kind of a mirrored resource, with its index. It reports whether the resource is
// mirrored.
func kindOf(resource string) (*convert.Kind, resourceIndex, bool) {
	kinds := convert.Kinds()
	i := slices.IndexFunc(kinds, func(k convert.Kind) bool { return k.Resource == resource })
	if i < 0 {
		return nil, 0, false
	}
	return &kinds[i], resourceIndex(i), true
}
