package decisionlog

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// TestG1Times proves that times are written in UTC with all nanoseconds, whatever time was written before.
func TestG1Times(t *testing.T) {
	t.Parallel()
	const form = "2006-01-02T15:04:05.000000000Z07:00"
	rng := rand.New(rand.NewPCG(11, 12))
	moments := []time.Time{
		{}, time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, 999_999_999), time.Unix(-1, 5), time.Unix(-1, 5),
		time.Date(2026, 12, 31, 23, 30, 0, 100, time.FixedZone("", -3600)),
		time.Date(2027, 1, 1, 0, 30, 0, 100, time.UTC), // the same second
	}
	for range 1000 {
		at := time.Unix(rng.Int64N(4e9), rng.Int64N(1e9))
		moments = append(moments, at, at.Add(time.Duration(rng.Int64N(1e9))))
	}
	var e timeEncoder
	for _, at := range moments {
		if got, want := string(e.append(nil, at)), strconv.Quote(at.UTC().Format(form)); got != want {
			t.Errorf("%v is written as %s, want %s", at, got, want)
		}
	}
}
