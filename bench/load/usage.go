package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// usage is what a server has used, by its own metrics.
type usage struct {
	at time.Time
	// cpu is in seconds, resident in bytes.
	cpu, resident float64
}

// coresSince is how many cores were busy on average since an earlier usage.
func (u usage) coresSince(earlier usage) float64 {
	return (u.cpu - earlier.cpu) / u.at.Sub(earlier.at).Seconds()
}

func (s *server) usage(ctx context.Context) (u usage, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	url := "http://" + s.admin + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return u, err
	}
	// A connection of its own each time: an idle one would be one more goroutine for nothing.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return u, fmt.Errorf("%s answers %s", url, response.Status)
	}
	u, err = readUsage(response.Body)
	u.at = time.Now()
	if err != nil {
		err = fmt.Errorf("%s: %w", url, err)
	}
	return u, err
}

// readUsage reads Prometheus' text format as far as is needed.
func readUsage(metrics io.Reader) (usage, error) {
	var u usage
	wanted := map[string]*float64{"process_cpu_seconds_total": &u.cpu, "process_resident_memory_bytes": &u.resident}
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		to := wanted[name]
		if to == nil {
			continue
		}
		var err error
		if *to, err = strconv.ParseFloat(value, 64); err != nil {
			return u, fmt.Errorf("%s is %q, which is not a number", name, value)
		}
		delete(wanted, name)
	}
	if err := lines.Err(); err != nil {
		return u, err
	}
	for name := range wanted {
		return u, fmt.Errorf("no %s: CPU and memory of a process are not known on this operating system", name)
	}
	return u, nil
}
