package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/cmd/assertion"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

const (
	// defaultLimit is the number of assertions that people may still read.
	defaultLimit = 2000
	maxLimit     = 1_000_000
	// maxGenerated limits the questions that are asked to generate assertions. They take some seconds.
	maxGenerated = 2_000_000
)

// A generated is one endpoint of generated assertions.
type generated struct {
	words    string
	endpoint engine.Endpoint
	ports    []assertion.Port
	// families are the families of its addresses; 0 for none.
	families engine.Families
}

// generate prints the assertions that hold today.
func (v *testVerb) generate(ctx context.Context) error {
	asker, closeAsker, err := v.inv.openAsker(ctx)
	if err != nil {
		return err
	}
	defer closeAsker()
	l, ok := asker.(local)
	if !ok {
		return errors.New("--generate: a server does not tell what it holds: " +
			"give --manifests or a kubeconfig instead of --server")
	}
	text, err := newGenerator(l, v.limit).text(ctx)
	if err != nil {
		return err
	}
	return printText(v.inv.stdout, text)
}

// A generator writes the assertions that hold in a snapshot.
type generator struct {
	// asker answers from the snapshot. It is asked for the words of errors.
	asker    asker
	snapshot *engine.Snapshot
	limit    int
	outside  *engine.Outside

	out strings.Builder
	// written counts assertions and notes. left counts those over the limit.
	written, left int
	// noted is the last note under the present heading. reasons are the errors under it.
	noted   string
	reasons map[string]string
}

func newGenerator(from local, limit int) *generator {
	frozen, state := from.frozen()
	return &generator{asker: frozen, snapshot: state.Snapshot, limit: limit, outside: state.Snapshot.Outside()}
}

// text returns all assertions. It stops when ctx ends.
func (g *generator) text(ctx context.Context) (string, error) {
	sources, destinations := g.ends()
	if err := g.checkSize(sources, destinations); err != nil {
		return "", err
	}
	g.out.WriteString("# What holds today, by 'netpold test --generate'. " +
		"Keep what is meant, and drop what is not.\n")
	for _, d := range destinations {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("--generate: stopped: %w", context.Cause(ctx))
		}
		g.writeDestination(ctx, d, sources)
	}
	for _, s := range sources {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("--generate: stopped: %w", context.Cause(ctx))
		}
		g.writeToAny(ctx, s)
	}
	if g.left > 0 {
		fmt.Fprintf(&g.out, "\n# %d more are left out: raise --limit %d.\n", g.left, g.limit)
	}
	if len(destinations) == 0 {
		return "", errors.New("--generate: nothing to claim: no Service and no named port of a Pod was read")
	}
	return g.out.String(), nil
}

// checkSize returns an error if there are more questions than people would wait for.
func (g *generator) checkSize(sources, destinations []generated) error {
	count := 0
	for _, d := range destinations {
		count += len(d.ports) * (len(sources) + len(g.anywhere(d)))
	}
	for _, s := range sources {
		count += len(portsToAny) * len(g.anywhere(s))
	}
	if count > maxGenerated {
		return fmt.Errorf("--generate: %d sources and %d destinations make %d questions, more than %d: "+
			"give a part of the cluster", len(sources), len(destinations), count, maxGenerated)
	}
	return nil
}

// ends returns the sources, which can open connections, and the destinations: Services, and Pods with named
// ports.
func (g *generator) ends() (sources, destinations []generated) {
	for _, s := range g.snapshot.AllServices() {
		if s.ExternalName || len(s.Ports) == 0 {
			continue
		}
		d := generated{
			words:    netpold.FormatEndpoint(netpold.Service(s.Namespace, s.Name)),
			endpoint: engine.ByService(s.Namespace, s.Name),
		}
		d.families = g.snapshot.FamiliesOf(d.endpoint)
		for _, p := range s.Ports {
			d.ports = append(d.ports, portOf(p.Port, p.Protocol))
		}
		destinations = append(destinations, d)
	}
	for _, group := range g.snapshot.PodGroups() {
		words := groupEndpoint(&group)
		end := generated{
			words: netpold.FormatEndpoint(words), endpoint: group.Endpoint, families: group.Families,
		}
		if _, err := netpold.ParseEndpoint(end.words); err != nil || group.HostNetwork {
			continue // its kind has no word, or policies treat it as a Node (S4)
		}
		sources = append(sources, end)
		for _, p := range group.Ports {
			if port := portOf(p.Port, p.Protocol); !slices.Contains(end.ports, port) {
				end.ports = append(end.ports, port)
			}
		}
		if len(end.ports) > 0 {
			destinations = append(destinations, end)
		}
	}
	return sources, destinations
}

// protocols has the wire's protocols in the engine's order.
var protocols = []netpoldv1.Protocol{
	engine.TCP:  netpoldv1.Protocol_PROTOCOL_TCP,
	engine.UDP:  netpoldv1.Protocol_PROTOCOL_UDP,
	engine.SCTP: netpoldv1.Protocol_PROTOCOL_SCTP,
}

// portsToAny are the most usual ports of addresses outside.
var portsToAny = []assertion.Port{portOf(443, engine.TCP), portOf(53, engine.UDP)}

func portOf(number uint16, protocol engine.Protocol) assertion.Port {
	return assertion.Port{Number: uint32(number), Protocol: protocols[protocol]}
}

func protocolOf(port assertion.Port) engine.Protocol {
	return engine.Protocol(slices.Index(protocols, port.Protocol))
}

// writeDestination writes the assertions about one destination.
func (g *generator) writeDestination(ctx context.Context, d generated, sources []generated) {
	g.heading("To " + d.words)
	g.claim(ctx, generated{words: assertion.Any}, d, g.anywhere(d), []engine.Endpoint{d.endpoint})
	for _, s := range sources {
		if s.words != d.words || strings.Count(s.words, "/") == 2 { // a Pod always reaches itself
			g.claim(ctx, s, d, []engine.Endpoint{s.endpoint}, []engine.Endpoint{d.endpoint})
		}
	}
}

// writeToAny writes whether one source reaches all addresses outside.
func (g *generator) writeToAny(ctx context.Context, s generated) {
	g.heading("From " + s.words + " to the outside")
	d := generated{words: assertion.Any, ports: portsToAny}
	g.claim(ctx, s, d, []engine.Endpoint{s.endpoint}, g.anywhere(s))
}

// heading writes a heading for the lines that follow, if there is room for one of them.
func (g *generator) heading(text string) {
	g.noted, g.reasons = "", map[string]string{}
	if g.written < g.limit {
		g.out.WriteString("\n# " + text + "\n")
	}
}

// anywhere returns an address of each part of the outside that the policies of an endpoint distinguish.
func (g *generator) anywhere(other generated) []engine.Endpoint {
	var list []engine.Endpoint
	for _, addr := range g.outside.Addresses(familiesOrBoth(other.families), other.endpoint) {
		list = append(list, engine.ByIP(addr))
	}
	return list
}

// claim writes the lines about a source and a destination: the ports that are allowed, and those that are
// denied.
func (g *generator) claim(ctx context.Context, s, d generated, from, to []engine.Endpoint) {
	var allowed, denied []string
	for _, port := range d.ports {
		yes, no := 0, 0
		var wrong error
		for _, src := range from {
			for _, dst := range to {
				decision, err := g.snapshot.Allowed(engine.Query{
					Src: src, Dst: dst, Port: uint16(port.Number), Protocol: protocolOf(port),
				})
				switch {
				case err != nil:
					wrong = err
				case decision.Allowed:
					yes++
				default:
					no++
				}
			}
		}
		switch {
		case wrong != nil:
			g.note(fmt.Sprintf("%s has no answer: %s", port, g.reason(ctx, s, d, port, wrong)))
		case yes > 0 && no > 0:
			g.note(fmt.Sprintf("%s -> %s %s is allowed for a part of the addresses outside, "+
				"and denied for others.", s.words, d.words, port))
		case yes > 0:
			allowed = append(allowed, port.String())
		default:
			denied = append(denied, port.String())
		}
	}
	g.line(s, d, allowed, "allowed")
	g.line(s, d, denied, "denied")
}

// reason returns why a question has no answer, in the words of check. The engine's own words say less, and
// are mostly the same for every source.
func (g *generator) reason(ctx context.Context, s, d generated, port assertion.Port, failure error) string {
	known := port.String() + " " + failure.Error()
	if g.reasons[known] == "" {
		g.reasons[known] = g.checked(ctx, s, d, port, failure)
	}
	return g.reasons[known]
}

func (g *generator) checked(ctx context.Context, s, d generated, port assertion.Port, failure error) string {
	_, err := g.asker.Allowed(ctx, &netpoldv1.AllowedRequest{
		Src: g.asked(s, d), Dst: g.asked(d, s), Port: port.Number, Protocol: port.Protocol,
	})
	if err == nil { // another address outside has no answer
		return failure.Error()
	}
	return status.Convert(err).Message()
}

// asked returns an endpoint for a question; for any, the first address outside.
func (g *generator) asked(end, other generated) *netpoldv1.Endpoint {
	if end.words == assertion.Any {
		return netpold.IP(g.outside.Addresses(familiesOrBoth(other.families), other.endpoint)[0].String())
	}
	endpoint, _ := netpold.ParseEndpoint(end.words) // the words were made from an endpoint
	return endpoint
}

// note writes a comment, unless it equals the last one. The error of a destination is the same for every
// source.
func (g *generator) note(text string) {
	if text != g.noted {
		g.noted = text
		g.write("# " + text)
	}
}

// line writes one assertion, if it has a port.
func (g *generator) line(s, d generated, ports []string, claim string) {
	if len(ports) > 0 {
		g.write(fmt.Sprintf("%s -> %s %s = %s", s.words, d.words, strings.Join(ports, ","), claim))
	}
}

// write writes a line, or counts it if there is no room left.
func (g *generator) write(line string) {
	if g.written >= g.limit {
		g.left++
		return
	}
	g.written++
	g.out.WriteString(line + "\n")
}
