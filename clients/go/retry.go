package netpold

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxAttempts is how often a call that gets UNAVAILABLE is made in all.
const maxAttempts = 4

// retry is the interceptor of calls that are not streams. It makes a call again that gets UNAVAILABLE, after a while that
// is not shorter than the server advises (P30). If that is beyond the deadline, the error is returned now: waiting would
// only turn it into another one.
//
// The retries of gRPC do not know that advice. They remain for streams, whose errors come with a later message.
func retry(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption) error {
	wait := Backoff{bound: 2 * leastDelay}
	for attempt := 1; ; attempt++ {
		err := invoke(ctx, method, request, response, conn, options...)
		if attempt == maxAttempts || status.Code(err) != codes.Unavailable {
			return err
		}
		delay := wait.Next(fromCall(err))
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= delay {
			return err
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}
