package watches

// blockSize is how many items a block of a slab has.
const blockSize = 256

// A slab has items by number, from 1; 0 is none. An item stays where it is while it is in use. Items without
// pointers cost the garbage collector nothing, however many there are: they refer to each other by number.
type slab[T any] struct {
	blocks []*[blockSize]T
	free   []uint32 // the numbers that are not in use any more
	used   uint32   // the highest number that was ever in use
}

// at returns the item of a number that is in use.
func (s *slab[T]) at(number uint32) *T { return &s.blocks[number/blockSize][number%blockSize] }

// allocate returns a number and its item, which is zero.
func (s *slab[T]) allocate() (uint32, *T) {
	if last := len(s.free) - 1; last >= 0 {
		number := s.free[last]
		s.free = s.free[:last]
		return number, s.at(number)
	}
	s.used++
	if int(s.used/blockSize) == len(s.blocks) {
		s.blocks = append(s.blocks, new([blockSize]T))
	}
	return s.used, s.at(s.used)
}

// release makes a number free for reuse.
func (s *slab[T]) release(number uint32) {
	var none T
	*s.at(number) = none
	s.free = append(s.free, number)
}
