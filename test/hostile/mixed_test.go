//go:build linux

package hostile

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// An attackCase is an attack by so many callers, who get somewhere at least so often together.
type attackCase struct {
	name    string
	attack  attack
	callers int
	least   int64
}

func attackCases(t *testing.T) []attackCase {
	one := framed(encode(t, questions()[0].request), 0)
	return []attackCase{
		{"UnfinishedMessages", unfinished(8), attackers, 8 * attackers},
		{"UnfinishedMessagesOfOne", unfinished(2000), 1, 1000},
		{"WrongQuestions", calls(t, netpoldv1.DecisionService_BatchAllowed_FullMethodName, encode(t, wrong(10_000))), 20, 20},
		{"Pings", pings(), attackers, attackers},
		{"Resets", resets(one), 20, 1000},
		{"Headers", headers(), 20, 20},
		{"SilentConnections", silent(nil), 2000, 2000},
	}
}

// allAttackCases returns these, and those that other tests are about.
func allAttackCases(t *testing.T) []attackCase {
	all := attackCases(t)
	for _, m := range heavyMessages(t) {
		all = append(all, attackCase{"HeavyMessages/" + m.name, over(t, m.method, func(int) []byte { return m.message }), attackers, 1})
	}
	var ignored atomic.Int64
	for _, w := range unreadWays(t) {
		all = append(all, attackCase{"UnreadAnswers/" + w.name, func(ctx context.Context, n *child, from string, done *atomic.Int64) {
			w.attack(done, &ignored, &ignored, &ignored)(ctx, n, from, done)
		}, attackers, 1})
	}
	for _, w := range expensiveWays(t) {
		all = append(all, attackCase{"ExpensiveQuestions/" + w.name, over(t, w.method, w.request), attackers, 1})
	}
	return all
}

// over returns an attack of one call after another, which sends the request with a number and reads one answer.
func over(t *testing.T, method string, request func(n int) []byte) attack {
	var asked atomic.Int64
	return func(ctx context.Context, n *child, from string, done *atomic.Int64) {
		_ = ask(ctx, n.client(t, from), method, request(int(asked.Add(1)))) // netpold may refuse it
		done.Add(1)
	}
}

// What one caller, or many, can do beside an innocent one.
func TestAttacks(t *testing.T) {
	for _, c := range attackCases(t) {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, writeCluster(t))
			var done atomic.Int64
			n.enough = func() bool { return done.Load() >= c.least }
			n.besiege(t, attackTime, func(ctx context.Context) {
				each(ctx, c.callers, func(ctx context.Context, from string) { c.attack(ctx, n, from, &done) })
			})
			t.Logf("%d times", done.Load())
			if done.Load() < c.least {
				t.Errorf("the attackers got somewhere %d times, want %d", done.Load(), c.least)
			}
		})
	}
}

// mixedTime is how long all attacks go on beside each other, unless HOSTILE_TIME says so.
const mixedTime = 20 * time.Second

// All attacks at once, and afterwards all is as before.
func TestMixedAttacks(t *testing.T) {
	lasts := mixedTime
	if text := os.Getenv("HOSTILE_TIME"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	n := start(t, writeCrowds(t))
	cases := allAttackCases(t)
	done := make([]atomic.Int64, len(cases))
	n.enough = func() bool {
		for i := range done {
			if done[i].Load() == 0 {
				return false
			}
		}
		return true
	}
	n.besiege(t, lasts, func(ctx context.Context) {
		var attacking sync.WaitGroup
		for i, c := range cases {
			attacking.Go(func() {
				each(ctx, max(1, min(c.callers, attackers)/len(cases)), func(ctx context.Context, from string) {
					short, cancel := context.WithTimeout(ctx, attackTime)
					defer cancel()
					c.attack(short, n, from, &done[i])
				})
			})
		}
		attacking.Wait()
	})
	for i, c := range cases {
		t.Logf("%s: %d times", c.name, done[i].Load())
		if done[i].Load() == 0 {
			t.Errorf("%s got nowhere", c.name)
		}
	}
}
