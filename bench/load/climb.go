package main

import (
	"cmp"
	"slices"
)

// climb measures at a rate, at twice that rate, and so on until the server is saturated or after so many steps; then once
// more halfway between the last two rates. The rows are in order of the rate.
func climb(steps int, rate float64, measure func(rate float64) (row, error)) ([]row, error) {
	var rows []row
	kept := 0.0
	for range steps {
		r, err := measure(rate)
		if err != nil {
			return rows, err
		}
		rows = append(rows, r)
		if r.limit() != "" {
			break
		}
		kept, rate = rate, 2*rate
	}
	if kept == 0 || kept == rate/2 && rows[len(rows)-1].limit() == "" {
		return rows, nil
	}
	r, err := measure((kept + rate) / 2)
	if err != nil {
		return rows, err
	}
	rows = append(rows, r)
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.asked, b.asked) })
	return rows, nil
}
