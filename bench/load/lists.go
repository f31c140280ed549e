package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// nearPeak is the part of the best rate at which calls are measured beside lists.
const nearPeak = 0.9

// rateBesideLists returns nearPeak of the best rate of Allowed in rows.
func rateBesideLists(rows []row) (float64, error) {
	best := 0.0
	for i := range rows {
		if rows[i].batch == 0 && !rows[i].stream && rows[i].limit() == "" {
			best = max(best, rows[i].asked)
		}
	}
	if best == 0 {
		return 0, errors.New("no rate of Allowed was kept up, so that none can be measured beside lists")
	}
	return nearPeak * best, nil
}

// besideLists measures Allowed at a rate, alone and then beside whole lists of the cluster.
func besideLists(
	ctx context.Context, s settings, rate float64, manifests string, rows []row, questions []question, stderr io.Writer,
) (_ []row, err error) {
	srv, err := startServer(ctx, s.netpold, manifests)
	if err != nil {
		return rows, err
	}
	defer srv.stop()
	client, err := netpold.Dial(srv.addr, netpold.WithInsecure())
	if err != nil {
		return rows, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	wait, err := firstConnection(ctx, client)
	if err != nil {
		return rows, errors.Join(srv.ended(), err)
	}
	fmt.Fprintf(stderr, "the first connection of a list comes %s ms after what a call of GetStatus takes\n", milliseconds(wait))
	for _, lists := range []int{0, s.lists} {
		stop := startLists(ctx, client, lists)
		r, err := callStep(ctx, s, srv, 0, rate, questions)
		taken, listErr := stop()
		if err = errors.Join(err, listErr); err != nil {
			return rows, errors.Join(srv.ended(), err)
		}
		r.lists = lists
		fmt.Fprintf(stderr, "%s; %d lists were taken\n", r.progress(), taken)
		rows = append(rows, r)
	}
	return rows, nil
}

// startLists takes whole lists, so many at once, until stop is called, which returns how many were taken to their end.
func startLists(ctx context.Context, client *netpold.Client, lists int) (stop func() (taken int64, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	var taken atomic.Int64
	failures := make([]error, lists)
	for i := range lists {
		group.Go(func() {
			for ctx.Err() == nil && failures[i] == nil {
				err := takeList(ctx, client, func(*netpoldv1.ListConnectionsResponse) bool { return true })
				switch {
				case err == nil:
					taken.Add(1)
				case ctx.Err() == nil:
					failures[i] = err
				}
			}
		})
	}
	return func() (int64, error) {
		cancel()
		group.Wait()
		return taken.Load(), errors.Join(failures...)
	}
}

// takeList takes a list until take returns false.
func takeList(ctx context.Context, client *netpold.Client, take func(*netpoldv1.ListConnectionsResponse) bool) error {
	for m, err := range client.Connections(ctx, &netpoldv1.ListConnectionsRequest{}) {
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if !take(m) {
			return nil
		}
	}
	return nil
}

// firstConnection returns how long the first connection of a list takes beyond a call of GetStatus: the median of five.
func firstConnection(ctx context.Context, client *netpold.Client) (time.Duration, error) {
	var waits []time.Duration
	for range 5 {
		began := time.Now()
		if _, err := client.Status(ctx); err != nil {
			return 0, err
		}
		status := time.Since(began)
		began = time.Now()
		if err := takeList(ctx, client, func(m *netpoldv1.ListConnectionsResponse) bool {
			return m.GetConnection() == nil
		}); err != nil {
			return 0, err
		}
		waits = append(waits, time.Since(began)-status)
	}
	slices.Sort(waits)
	return waits[len(waits)/2], nil
}
