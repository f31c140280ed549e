package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/config"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// portFlag is the name of the flag -p.
const portFlag = "port"

// A check is one run of the verb check.
type check struct {
	inv      *invocation
	cmd      *cobra.Command
	port     uint32
	protocol string
	output   string
	file     string
	atLeast  string
	// echo is --echo, and explain --explain.
	echo, explain bool
	// with is --with, and overlay what it reads.
	with    []string
	overlay *overlay
	// warned means that the warnings about the overlay were printed.
	warned bool
}

func (inv *invocation) checkVerb() *cobra.Command {
	c := &check{inv: inv, protocol: "tcp"}
	c.cmd = &cobra.Command{
		Use: "check {SRC DST -p PORT | -f FILE} " +
			"[--manifests PATH | --server HOST:PORT | --kubeconfig FILE] [flags]",
		Short: "Answer whether SRC may open a connection to DST on a port",
		Long: "check answers whether SRC may open a new connection to DST on a port, and why.\n\n" +
			"SRC and DST are words:\n" +
			"  shop/frontend-0           the Pod frontend-0 of namespace shop\n" +
			"  deploy/shop/frontend      every Pod of a workload (deploy, sts, ds, rs, rc, job, cj)\n" +
			"  svc/shop/cart             every endpoint of a Service; only as DST\n" +
			"  10.0.3.7                  the owner of the address\n" +
			"  'shop?app=web,tier=front' a Pod with these labels, which need not exist\n" +
			"  'shop?app=web#http=8080,dns=53/UDP,ip=10.0.0.9'\n" +
			"                            the same, with named ports (a name may have several: each counts)\n" +
			"                            and an address\n\n" +
			"With -f each line is a question as JSON. Each answer is a line of JSON, in order and as soon as it is\n" +
			"known:\n" +
			`  {"src":{"pod":{"namespace":"shop","name":"frontend-0"}},"dst":{"ip":"10.0.3.7"},"port":8080,` +
			`"protocol":"PROTOCOL_TCP"}` + "\n" +
			`An invalid line is answered with {"error":{"code":3,"message":...,"details":[...]}} in its place. Empty` +
			"\nlines are skipped. A protocol may also be written TCP, UDP or SCTP. A line may be 1 MiB long.\n\n" +
			"--explain says which rules let the connection through or, if it is denied, why each does not match\n" +
			"and which would with one change. -o wide leaves nothing out of it. With -f it explains every line: -o json\n" +
			"prints one explanation a line, the other forms a block of text for each.\n\n" +
			"With --with it answers as if the manifests in FILE were applied: objects replace those of their kind,\n" +
			"namespace and name, the template of a workload changes the labels and ports of its Pods, and a workload\n" +
			"without Pods gets some. Nothing of the cluster, of the server or of other questions is changed.\n\n" +
			"With neither --manifests nor --server it reads the cluster of --kubeconfig and --context, or the one\n" +
			"that kubectl would use. It reads the whole cluster once. For many questions ask a server.\n\n" +
			"Exit code: 0 allowed, or with -f every line answered, allowed or not; 1 denied; 2 error, or with -f a\n" +
			"line not answered.",
		Example: "  netpold check --manifests examples/shop shop/redis-0 svc/shop/cart -p 7070\n" +
			"  netpold check --server 127.0.0.1:9480 deploy/shop/frontend 10.20.1.12 -p 53 --protocol udp -o json\n" +
			"  netpold check --manifests examples/shop shop/frontend-0 shop/redis-0 -p 6379 --explain\n" +
			"  netpold check --context staging shop/frontend-0 shop/redis-0 -p 6379\n" +
			"  netpold check --context staging shop/frontend-0 shop/redis-0 -p 6379 --with new-policy.yaml\n" +
			"  netpold check --server 127.0.0.1:9480 \\\n" +
			"    --at-least $(kubectl apply -f policy.yaml -o yaml | netpold token -f -) \\\n" +
			"    shop/frontend-0 shop/redis-0 -p 6379\n" +
			"  kubectl get pods,namespaces,networkpolicies,nodes,services,endpointslices -A -o yaml |\n" +
			"    netpold check --manifests - shop/frontend-0 shop/redis-0 -p 6379",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: inv.completeEnds,
	}
	f := c.cmd.Flags()
	f.VarP(config.NewPort(&c.port), portFlag, "p",
		"destination `PORT`, 1 to 65535; for a Service, the Service's")
	f.Var(config.NewChoice(&c.protocol, "tcp", "udp", "sctp"), "protocol", "protocol of the connection")
	f.StringVarP(&c.file, "file", "f", "",
		"answer the questions in `FILE`, one line of JSON each; - for standard input")
	f.BoolVar(&c.echo, "echo", false,
		"with -f, give each answer its question: {\"question\": ..., \"answer\": ...}")
	f.BoolVar(&c.explain, "explain", false,
		"say what every policy and rule does with the connection, and what comes closest to allowing it")
	f.StringVar(&c.atLeast, "at-least", "",
		"do not answer from an older state than that of `TOKEN`; see 'netpold token'")
	addWith(c.cmd, &c.with)
	f.VarP(config.NewChoice(&c.output, textOutput, wideOutput, jsonOutput, yamlOutput), "output", "o",
		"form of the answer; wide is all of --explain")
	inv.addAllNamespaces(c.cmd)
	inv.addQuiet(c.cmd)
	return inv.verb(c.cmd, c.run, inv.config.StateFlags(), inv.config.ClientFlags(), inv.config.FileFlags())
}

// usage returns what is wrong with how the verb was called; nil if nothing is.
func (c *check) usage(args []string) error {
	given := c.cmd.Flags().Changed
	c.inv.gaveToken = given("at-least")
	if given("at-least") && c.atLeast == "" {
		return usageError(c.cmd, "--at-least needs a token: did what was to print it fail?")
	}
	if given("file") {
		switch {
		case len(args) > 0:
			return usageError(c.cmd, "SRC DST and -f exclude each other: leave one of them out")
		case given(portFlag) || given("protocol"):
			return usageError(c.cmd, "-p and --protocol do not go with -f: each line has its own")
		case c.explain && c.output == yamlOutput:
			return usageError(c.cmd, "-o yaml does not go with -f: give json for one explanation a line, or text")
		case c.explain && c.echo && c.output != jsonOutput:
			return usageError(c.cmd, "--echo goes with -o json: the text of an explanation names its question")
		case !c.explain && given("output") && c.output != jsonOutput:
			return usageError(c.cmd, "-o %s does not go with -f: its answers are lines of JSON", c.output)
		case c.file == "":
			return usageError(c.cmd, "-f needs a file, or - for standard input")
		}
		return nil
	}
	switch {
	case c.output == wideOutput && !c.explain:
		return usageError(c.cmd, "-o wide goes with --explain: give it too, or text")
	case c.echo:
		return usageError(c.cmd, "--echo goes with -f: with SRC DST the question is in the answer")
	case len(args) == 0:
		return usageError(c.cmd, "no question: give SRC DST -p PORT, or -f FILE")
	case len(args) == 1:
		return usageError(c.cmd, "DST is missing after SRC %q", args[0])
	case len(args) > 2:
		return usageError(c.cmd, "%q is one word too many after SRC and DST", args[2])
	case !given(portFlag):
		return usageError(c.cmd, "the port is missing: give -p PORT")
	}
	return nil
}

func (c *check) run(ctx context.Context, args []string) error {
	if err := c.usage(args); err != nil {
		return err
	}
	if c.file != "" {
		return c.answerFile(ctx)
	}
	question, err := c.question(args[0], args[1])
	if err != nil {
		return err
	}
	if c.overlay, err = c.inv.readOverlay(ctx, withFlag, c.with); err != nil {
		return err
	}
	if c.explain {
		return c.explainOne(ctx, question)
	}
	asker, closeAsker, err := c.openAsker(ctx)
	if err != nil {
		return err
	}
	defer closeAsker()
	ctx, cancel := context.WithTimeout(ctx, c.inv.config.Client.Timeout)
	defer cancel()
	answer, err := asker.Allowed(ctx, question)
	if err != nil {
		return c.inv.overlayError(c.overlay, err)
	}
	c.inv.printNotes(answer.GetNotes(), c.overlay != nil)
	if c.output == textOutput {
		err = printText(c.inv.stdout, c.inv.painted(answerText(question, answer)))
	} else {
		err = c.inv.printMessage(answer, c.output)
	}
	if err == nil && !answer.GetAllowed() {
		err = errDenied
	}
	return err
}

// openAsker opens what answers, with the changes of --with made, and returns a function that closes it.
func (c *check) openAsker(ctx context.Context) (asker, func(), error) {
	if c.overlay == nil {
		return c.inv.openAsker(ctx)
	}
	auditor, closeAuditor, err := c.inv.openAuditor(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &overlaidAsker{check: c, auditor: auditor}, closeAuditor, nil
}

// question returns the question that words and flags ask.
func (c *check) question(src, dst string) (*netpoldv1.AllowedRequest, error) {
	from, srcErr := netpold.ParseEndpoint(src)
	if srcErr != nil {
		srcErr = fmt.Errorf("SRC: %w", srcErr)
	}
	to, dstErr := netpold.ParseEndpoint(dst)
	if dstErr != nil {
		dstErr = fmt.Errorf("DST: %w", dstErr)
	}
	protocol, err := netpold.ParseProtocol(c.protocol)
	if err := errors.Join(withoutRemedyOf(srcErr, dstErr), dstErr, err); err != nil {
		return nil, err
	}
	return &netpoldv1.AllowedRequest{
		Src: from, Dst: to, Port: c.port, Protocol: protocol, AtLeast: c.atLeast, Details: true,
	}, nil
}

// withoutRemedyOf returns err without its remedy, the text behind the last semicolon, if next ends with the same.
// People read it once, in the last line.
func withoutRemedyOf(err, next error) error {
	if err == nil || next == nil {
		return err
	}
	text := err.Error()
	at := strings.LastIndex(text, "; ")
	if at < 0 || !strings.HasSuffix(next.Error(), text[at:]) {
		return err
	}
	return errors.New(text[:at])
}
