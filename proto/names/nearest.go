package names

import "iter"

// Nearest returns the candidate that a typing error may have meant, the smallest of several; "" if none is
// near. It takes as near what at most a third of the letters were mistyped of.
func Nearest(typed string, candidates iter.Seq[string]) string {
	best, distance := "", (len(typed)+2)/3+1
	for name := range candidates {
		if longer := max(len(name), len(typed)) - min(len(name), len(typed)); longer > distance {
			continue // each letter more is an edit
		}
		if d := Distance(typed, name); d < distance || d == distance && best != "" && name < best {
			best, distance = name, d
		}
	}
	return best
}

// Distance returns the Levenshtein distance of two names: how many letters were added, left out or exchanged.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
