// Package netpold asks a netpold server whether one endpoint may open a connection to another, by the
// NetworkPolicies of a Kubernetes cluster.
//
//	client, err := netpold.Dial("dns:///netpold.netpold.svc:9480", netpold.WithInsecure())
//	...
//	answer, err := client.Allowed(ctx, &netpoldv1.AllowedRequest{
//		Src: netpold.Pod("shop", "frontend-0"), Dst: netpold.IP("10.0.3.7"), Port: 8080,
//	})
//	if err != nil {
//		return err // there is no answer: treat it as you treat a network that fails, never as allowed
//	}
//	if !answer.Allowed {
//		...
//	}
//
// With Details set in a question, the answer also says what its two endpoints turned out to be, and has
// notes. The codes of notes are the constants of github.com/netpold/netpold/proto/notes.
//
// [Client.Verdict] asks by address, and is the fastest way for many goroutines that ask one question each.
// [Client.Verdicts] asks many such questions of one snapshot at once.
//
// With [WithCache] a question that was asked before is answered locally, and the answers follow the cluster. With
// [WithFailureMode] a caller chooses what it gets when no server decides.
//
// A denial is an answer. Errors are of type [*Error] and match the Err values of this package with
// [errors.Is]. Every message is of package netpoldv1, github.com/netpold/netpold/proto/netpold/v1.
package netpold
