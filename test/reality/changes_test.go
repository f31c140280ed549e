//go:build linux

package reality

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/kube/random"
)

// changes measures how long after a policy was applied netpold answers by it, and how long until packets on every
// Node and of both families show it. It logs both and judges neither.
func changes(t *testing.T, c *cluster) {
	r := random.New(7)
	c.populate(r) // so that the plugin has something to write
	c.settle()
	var answered, enforced []time.Duration
	for range 20 {
		open, shut := probePorts[c.settled%2], probePorts[(c.settled+1)%2]
		c.settled++
		var opening, closing []connection
		for _, p := range c.probes {
			for f := range families {
				opening = append(opening, connection{c.outside, p, f, port{"tcp", open}})
				closing = append(closing, connection{c.outside, p, f, port{"tcp", shut}})
			}
		}
		c.apply(probePolicy(open))
		applied := time.Now()
		var waiting sync.WaitGroup
		var byNetpold, byPackets time.Duration
		waiting.Go(func() {
			kubetest.Eventually(t, settleTimeout, func(ctx context.Context) error { // looks every 20 ms
				return answersAll(ctx, c.like, opening, closing)
			})
			byNetpold = time.Since(applied)
		})
		waiting.Go(func() {
			kubetest.Eventually(t, settleTimeout, func(context.Context) error {
				return showAll(opening, closing)
			})
			byPackets = time.Since(applied)
		})
		waiting.Wait()
		answered, enforced = append(answered, byNetpold), append(enforced, byPackets)
	}
	for name, list := range map[string][]time.Duration{"netpold answers": answered, "packets show": enforced} {
		slices.Sort(list)
		n := len(list)
		t.Logf("after a change %s it: least %v, median %v, 90%% %v, most %v of %d", name,
			list[0].Round(time.Millisecond), list[n/2].Round(time.Millisecond), list[n*9/10].Round(time.Millisecond),
			list[n-1].Round(time.Millisecond), n)
	}
}

// answersAll returns an error unless netpold allows the connections to be opened and denies the others.
func answersAll(ctx context.Context, asked *netpold.Client, opening, closing []connection) error {
	for i := range opening {
		if err := errors.Join(answers(ctx, asked, opening[i], true), answers(ctx, asked, closing[i], false)); err != nil {
			return err
		}
	}
	return nil
}

// showAll returns an error unless packets show the same.
func showAll(opening, closing []connection) error {
	opened, err := try(slices.Concat(opening, closing))
	if err != nil {
		return err
	}
	for i, passes := range opened {
		if passes != (i < len(opening)) {
			return errNotYet
		}
	}
	return nil
}

var errNotYet = errors.New("packets do not show it yet")
