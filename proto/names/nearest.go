package names

import "iter"

// Nearest returns the candidate that typed may have meant, the smallest of several; "" if none is near. A
// candidate is near if at most a third of the letters, rounded up, were mistyped.
func Nearest(typed string, candidates iter.Seq[string]) string {
	best, distance := "", (len(typed)+2)/3+1
	for name := range candidates {
		if longer := max(len(name), len(typed)) - min(len(name), len(typed)); longer > distance {
			continue // each additional letter is an edit
		}
		if d := Distance(typed, name); d < distance || d == distance && best != "" && name < best {
			best, distance = name, d
		}
	}
	return best
}

// Distance returns the Levenshtein distance of two names: the number of letters added, left out or replaced.
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
