package flows

// jsonlReader reads a line of JSON lines: an object whose keys are columns. Others are skipped.
type jsonlReader struct {
	scanner
	values
	// slots has the place in keys and found of each key that is a column, and columns the places for each value,
	// the one that counts first.
	slots   map[string]int
	columns [columnCount][]int
	keys    []string
	found   [][]byte
}

func newJSONLReader(o Options, names *names) *jsonlReader {
	j := &jsonlReader{values: values{names: names}, slots: map[string]int{}}
	for i, columns := range columnsOf(o) {
		for _, column := range columns {
			slot, ok := j.slots[column]
			if !ok {
				slot = len(j.slots)
				j.slots[column] = slot
				j.keys = append(j.keys, column)
			}
			j.columns[i] = append(j.columns[i], slot)
		}
	}
	j.found = make([][]byte, len(j.slots))
	return j
}

// read fills rec by a line.
func (j *jsonlReader) read(line []byte, rec *Record) {
	j.reset(line)
	j.rec = rec
	clear(j.found)
	for more := j.enter('{', '}'); more; more = j.next('}') {
		key := j.key()
		if slot, ok := j.slots[string(key)]; ok {
			j.found[slot] = j.scalar(j.keys[slot])
		} else {
			j.skip()
		}
	}
	j.scanner.end()
	if j.scanner.problem != "" {
		rec.malformed(j.scanner.problem)
		return
	}
	for i, slots := range j.columns {
		j.text[i] = nil
		for _, slot := range slots {
			if j.text[i] == nil {
				j.text[i] = j.found[slot]
			}
		}
	}
	j.record()
}
