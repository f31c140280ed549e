package main

import (
	"context"
	"errors"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
)

// streamStep asks over one stream as fast as flow control lets it, through the Go client, for as long as s says. The client
// makes the batches; batch is how many questions it puts into one.
func streamStep(ctx context.Context, s settings, srv *server, batch int, questions []question) (r row, err error) {
	client, err := netpold.Dial(srv.addr, netpold.WithInsecure())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	before, err := srv.usage(ctx)
	if err != nil {
		return r, err
	}
	start := time.Now()
	endless := func(yield func(question) bool) {
		for ctx.Err() == nil && time.Since(start) < s.step {
			for _, q := range questions {
				if !yield(q) {
					return
				}
			}
		}
	}
	r = row{stream: true, batch: batch}
	answered := 0
	for verdict, err := range client.AllowedMany(ctx, endless) {
		if err != nil {
			return r, err
		}
		if verdict.Err != nil {
			r.errors++
			r.failure = verdict.Err.Error()
		}
		answered++
	}
	r.achieved = float64(answered-r.errors) / float64(r.batch) / time.Since(start).Seconds()
	after, err := srv.usage(ctx)
	if err != nil {
		return r, err
	}
	r.cores, r.resident = after.coresSince(before), after.resident
	return r, nil
}
