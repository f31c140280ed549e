//go:build linux

package hostile

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// ticks are how many times a second Linux counts who has a processor.
const ticks = 100

// others begins to measure, and returns what returns the share of all processors that processes outside of the test have
// had since.
func (n *child) others(t *testing.T) func() float64 {
	t.Helper()
	own := func() (sum int) {
		for _, pid := range []int{os.Getpid(), n.pid(), n.asker} {
			if pid == 0 {
				continue // nobody asks beside
			}
			fields := statOf(t, fmt.Sprintf("/proc/%d/stat", pid))
			sum += number(t, fields[13]) + number(t, fields[14])
		}
		return sum
	}
	all := func() (busy int) {
		fields := statOf(t, "/proc/stat")
		// user, nice, system, irq, softirq, and steal: what other machines of the same host had
		for _, i := range []int{1, 2, 3, 6, 7, 8} {
			busy += number(t, fields[i])
		}
		return busy
	}
	began, ownBefore, allBefore := time.Now(), own(), all()
	return func() float64 {
		t.Helper()
		mine := own() - ownBefore
		return float64(all()-allBefore-mine) / (time.Since(began).Seconds() * ticks * float64(runtime.NumCPU()))
	}
}

func statOf(t *testing.T, path string) [][]byte {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Fields(page)
}

func number(t *testing.T, text []byte) int {
	t.Helper()
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
