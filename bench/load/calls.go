package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bojand/ghz/runner"
	"github.com/jhump/protoreflect/desc"
	"github.com/jhump/protoreflect/dynamic"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// callStep calls at a rate, in calls a second, for as long as s says.
func callStep(ctx context.Context, s settings, srv *server, batch int, rate float64, questions []question) (row, error) {
	method, requests, err := requestsOf(questions, batch)
	if err != nil {
		return row{}, err
	}
	config, err := runner.NewConfig(method, srv.addr,
		runner.WithInsecure(true),
		// Neither waits for answers: each call has a goroutine of its own.
		runner.WithAsync(true),
		runner.WithConcurrency(uint(s.connections)),
		runner.WithConnections(uint(s.connections)),
		runner.WithPacer(&pacer{ctx: ctx, rate: rate, length: s.step}),
		runner.WithTimeout(s.call),
		// The codec has the requests; but there must be something: a field 15 that no message has.
		runner.WithBinaryDataFunc(func(*desc.MethodDescriptor, *runner.CallData) []byte { return []byte{15 << 3, 0} }),
		runner.WithDefaultCallOptions([]grpc.CallOption{
			grpc.ForceCodecV2(&codec{CodecV2: encoding.GetCodecV2(proto.Name), requests: requests}),
			grpc.MaxCallRecvMsgSize(maxAnswer),
		}),
		runner.WithDisableTemplateFuncs(true),
		runner.WithDisableTemplateData(true),
	)
	if err != nil {
		return row{}, err
	}
	// Not runner.Run, which listens for signals for ever after.
	requester, err := runner.NewRequester(config)
	if err != nil {
		return row{}, fmt.Errorf("%s: %w", method, err)
	}
	before, err := srv.usage(ctx)
	if err != nil {
		return row{}, err
	}
	report, err := requester.Run()
	if err := errors.Join(err, context.Cause(ctx)); err != nil {
		return row{}, err
	}
	after, err := srv.usage(ctx)
	if err != nil {
		return row{}, err
	}
	return rowOf(report, batch, rate, before, after), nil
}

// maxAnswer, in bytes, is more than the largest batch's.
const maxAnswer = 64 << 20

// requestsOf are the method and the requests, as they go over the wire, of calls of so many questions each.
func requestsOf(questions []question, batch int) (method string, requests [][]byte, err error) {
	var messages []any
	if batch == 0 {
		method = "netpold.v1.DecisionService.Allowed"
		for _, q := range questions {
			messages = append(messages, requestOf(q))
		}
	} else {
		method = "netpold.v1.DecisionService.BatchAllowed"
		for _, b := range batchesOf(questions, batch) {
			messages = append(messages, b)
		}
	}
	for _, m := range messages {
		wire, err := netpoldv1.Codec(0).Marshal(m)
		if err != nil {
			return "", nil, err
		}
		requests = append(requests, wire.Materialize())
		wire.Free()
	}
	return method, requests, nil
}

func rowOf(report *runner.Report, batch int, rate float64, before, after usage) row {
	r := row{batch: batch, asked: rate, cores: after.coresSince(before), resident: after.resident}
	for code, n := range report.StatusCodeDist {
		if code != "OK" {
			r.errors += n
		}
	}
	for text, n := range report.ErrorDist {
		if r.failure == "" || n > report.ErrorDist[r.failure] {
			r.failure = text
		}
	}
	r.failure = strings.TrimPrefix(r.failure, "rpc error: code = ")
	r.achieved = float64(int(report.Count)-r.errors) / report.Total.Seconds()
	at := func(percent int) time.Duration {
		i := slices.IndexFunc(report.LatencyDistribution, func(l runner.LatencyDistribution) bool { return l.Percentage == percent })
		if i < 0 {
			return 0
		}
		return report.LatencyDistribution[i].Latency
	}
	r.p50, r.p95, r.p99 = at(50), at(95), at(99)
	return r
}

// pacer calls at a constant rate, whatever becomes of the calls, until its time is over or ctx ends.
type pacer struct {
	ctx    context.Context //nolint:containedctx // an interface of another's, without one
	rate   float64
	length time.Duration
}

// Pace implements [load.Pacer]: how long to wait before the next call, or that there is none.
func (p *pacer) Pace(elapsed time.Duration, calls uint64) (wait time.Duration, stop bool) {
	due := time.Duration(float64(calls) / p.rate * float64(time.Second))
	return due - elapsed, due >= p.length || elapsed >= p.length || p.ctx.Err() != nil
}

// Rate implements [load.Pacer].
func (p *pacer) Rate(time.Duration) float64 { return p.rate }

// codec sends requests that are written already, one after another, and does not read the answers: they are checked
// beforehand, and the time that a client takes for them is not the server's.
type codec struct {
	encoding.CodecV2
	requests [][]byte
	next     atomic.Uint64
}

// Marshal implements [encoding.CodecV2].
func (c *codec) Marshal(v any) (mem.BufferSlice, error) {
	if _, ours := v.(*dynamic.Message); !ours { // a question about the service
		return c.CodecV2.Marshal(v)
	}
	request := c.requests[c.next.Add(1)%uint64(len(c.requests))]
	return mem.BufferSlice{mem.SliceBuffer(request)}, nil
}

// Unmarshal implements [encoding.CodecV2].
func (c *codec) Unmarshal(data mem.BufferSlice, v any) error {
	if _, ours := v.(*dynamic.Message); !ours {
		return c.CodecV2.Unmarshal(data, v)
	}
	if data.Len() == 0 {
		return errors.New("an answer without anything in it")
	}
	return nil
}
