package test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/engine/enginetest"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/door"
	"github.com/netpold/netpold/test/scenario"
)

func askOracle(_ *testing.T, c *cluster) []*netpoldv1.BatchAnswer {
	oracle := &enginetest.Oracle{Objects: c.objects, Options: c.flags.Options}
	return c.decide(oracle.Allowed)
}

func askEngine(_ *testing.T, c *cluster) []*netpoldv1.BatchAnswer {
	snapshot := c.snapshot()
	return c.decide(func(q enginetest.Question) (engine.Decision, error) { return snapshot.Allowed(q.Query()) })
}

func (c *cluster) snapshot() *engine.Snapshot {
	changes := make([]engine.Change, len(c.objects))
	for i, o := range c.objects {
		changes[i].Object = o
	}
	return engine.NewCluster(c.flags.Options).Apply(changes...)
}

// decide asks what takes the engine's questions.
func (c *cluster) decide(allowed func(enginetest.Question) (engine.Decision, error)) []*netpoldv1.BatchAnswer {
	answers := make([]*netpoldv1.BatchAnswer, len(c.questions))
	for i, asked := range c.questions {
		q, ok := asked.Engine()
		if !ok {
			continue
		}
		d, err := allowed(q)
		if err != nil {
			answers[i] = failed(err)
			continue
		}
		answers[i] = &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Response{Response: decision(d)}}
	}
	return answers
}

// decision is the engine's decision as the wire has it, written apart from the server's own.
func decision(d engine.Decision) *netpoldv1.AllowedResponse {
	reasons := map[engine.Reason]netpoldv1.Reason{
		engine.Self: netpoldv1.Reason_REASON_SELF, engine.LocalNode: netpoldv1.Reason_REASON_LOCAL_NODE,
		engine.NotIsolated:     netpoldv1.Reason_REASON_NOT_ISOLATED,
		engine.AllowedByRule:   netpoldv1.Reason_REASON_ALLOWED_BY_RULE,
		engine.DeniedAtEgress:  netpoldv1.Reason_REASON_DENIED_AT_EGRESS,
		engine.DeniedAtIngress: netpoldv1.Reason_REASON_DENIED_AT_INGRESS,
	}
	r := &netpoldv1.AllowedResponse{
		Allowed: d.Allowed, Reason: reasons[d.Reason], Egress: side(d.Egress, true),
		Ingress:         side(d.Ingress, false),
		BackendsAllowed: d.BackendsAllowed, BackendsTotal: d.BackendsTotal,
	}
	if d.Families&engine.IPv4 != 0 {
		r.Families = append(r.Families, netpoldv1.IpFamily_IP_FAMILY_IPV4)
	}
	if d.Families&engine.IPv6 != 0 {
		r.Families = append(r.Families, netpoldv1.IpFamily_IP_FAMILY_IPV6)
	}
	return r
}

func side(s engine.Side, egress bool) *netpoldv1.Side {
	tiers := map[engine.Tier]netpoldv1.Tier{
		engine.Admin: netpoldv1.Tier_TIER_ADMIN, engine.NetworkPolicies: netpoldv1.Tier_TIER_NETWORK_POLICY,
		engine.Baseline: netpoldv1.Tier_TIER_BASELINE,
	}
	out := &netpoldv1.Side{Allowed: s.Allowed, Isolated: s.Isolated, Tier: tiers[s.Tier]}
	if s.Policy != nil {
		out.Policy, out.Kind = s.Policy.Namespace+"/"+s.Policy.Name, "NetworkPolicy"
		out.RuleIndex = proto.Uint32(uint32(s.Rule)) //nolint:gosec // an index
	}
	if p := s.ClusterPolicy; p != nil {
		rules := p.Ingress
		if egress {
			rules = p.Egress
		}
		out.Policy, out.Kind, out.RuleName = p.Name, p.Kind.String(), rules[s.Rule].Name
		out.RuleIndex = proto.Uint32(uint32(s.Rule)) //nolint:gosec // an index
	}
	if !s.Allowed && s.Tier == engine.NetworkPolicies {
		for _, p := range s.Isolating {
			out.IsolatedBy = append(out.IsolatedBy, p.Namespace+"/"+p.Name)
		}
	}
	return out
}

// failed is the engine's error as the wire has it.
func failed(err error) *netpoldv1.BatchAnswer {
	q, ok := errors.AsType[*engine.QueryError](err)
	if !ok {
		return refusal(codes.Internal, "NOT_A_QUERY_ERROR", "", err.Error())
	}
	end := "src"
	if q.Dst {
		end = "dst"
	}
	code, reason := codes.Internal, "UNKNOWN_CODE"
	switch q.Code {
	case engine.InvalidQuestion:
		code, reason = codes.InvalidArgument, "INVALID_QUESTION"
	case engine.NotFound:
		code, reason = codes.NotFound, "NOT_FOUND"
	case engine.PodFinished:
		code, reason = codes.NotFound, "POD_FINISHED"
	case engine.WorkloadFinished:
		code, reason = codes.FailedPrecondition, "WORKLOAD_FINISHED"
	case engine.NoServicePort:
		code, reason = codes.FailedPrecondition, "NO_SERVICE_PORT"
	case engine.NoReadyEndpoint:
		code, reason = codes.FailedPrecondition, "NO_READY_ENDPOINT"
	case engine.ExternalName:
		code, reason = codes.FailedPrecondition, "EXTERNAL_NAME"
	case engine.Abandoned: // nobody gives these questions up
	}
	return refusal(code, reason, end, err.Error())
}

func refusal(code codes.Code, reason, field, message string) *netpoldv1.BatchAnswer {
	info := &errdetails.ErrorInfo{Domain: "netpold", Reason: reason, Metadata: map[string]string{"field": field}}
	st, err := status.New(code, message).WithDetails(info)
	if err != nil {
		st = status.New(codes.Internal, err.Error())
	}
	return &netpoldv1.BatchAnswer{Answer: &netpoldv1.BatchAnswer_Error{Error: st.Proto()}}
}

// askGRPC asks a server over the loopback: all questions in one batch, and each again alone, which has to
// answer the same.
func askGRPC(t *testing.T, c *cluster) []*netpoldv1.BatchAnswer {
	t.Helper()
	client := netpoldv1.NewDecisionServiceClient(serve(t, c.snapshot()))
	batch := new(netpoldv1.BatchAllowedRequest)
	for _, q := range c.questions {
		batch.Questions = append(batch.Questions, q.Request)
	}
	response, err := client.BatchAllowed(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, answer := range response.GetAnswers() {
		q := c.questions[i]
		if r := answer.GetResponse(); r != nil &&
			(r.GetRevision() != response.GetRevision() || r.GetToken() != response.GetToken()) {
			t.Errorf("%s\n\tS25: revision %d and token %q in a batch of revision %d and token %q",
				q.Text, r.GetRevision(), r.GetToken(), response.GetRevision(), response.GetToken())
		}
		single := new(netpoldv1.BatchAnswer)
		if r, err := client.Allowed(t.Context(), q.Request); err != nil {
			single.Answer = &netpoldv1.BatchAnswer_Error{Error: status.Convert(err).Proto()}
		} else {
			single.Answer = &netpoldv1.BatchAnswer_Response{Response: r}
			if !proto.Equal(r, answer.GetResponse()) {
				t.Errorf("%s\n\talone %s\n\tin a batch %s", q.Text, scenario.Text(single), scenario.Text(answer))
			}
		}
		if d := q.Want.Compare(single); len(d) > 0 {
			t.Errorf("%s\n\tasked alone: %s", q.Text, strings.Join(d, "\n\t"))
		}
	}
	return response.GetAnswers()
}

// askStream asks the questions by IP in one batch of a stream. What a stream does not say is as it is asked
// alone, so that the rest of the answer is compared too; every other question has no answer at this door.
func askStream(t *testing.T, c *cluster) []*netpoldv1.BatchAnswer {
	t.Helper()
	conn := serve(t, c.snapshot())
	var batch netpoldv1.StreamAllowedRequest
	var src, dst []byte
	var places []int
	for i, q := range c.questions {
		from, err := netip.ParseAddr(q.Request.GetSrc().GetIp())
		to, errTo := netip.ParseAddr(q.Request.GetDst().GetIp())
		if err != nil || errTo != nil || from.Zone()+to.Zone()+q.Request.GetAtLeast() != "" ||
			q.Request.GetPort() > math.MaxUint16 || q.Request.GetProtocol() > math.MaxUint8 {
			continue
		}
		from16, to16 := from.As16(), to.As16()
		src, dst = append(src, from16[:]...), append(dst, to16[:]...)
		batch.Ports = binary.BigEndian.AppendUint16(batch.Ports,
			uint16(q.Request.GetPort())) //nolint:gosec // checked above
		batch.Protocols = append(batch.Protocols, byte(q.Request.GetProtocol())) //nolint:gosec // checked above
		places = append(places, i)
	}
	batch.Src = &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: src}
	batch.Dst = &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: dst}
	response := oneBatch(t, conn, &batch)
	failures := map[uint32]*spb.Status{}
	for _, e := range response.GetErrors() {
		failures[e.GetIndex()] = e.GetError()
	}
	answers := make([]*netpoldv1.BatchAnswer, len(c.questions))
	for at, i := range places {
		answers[i] = new(netpoldv1.BatchAnswer)
		if failure := failures[uint32(at)]; failure != nil { //nolint:gosec // an index
			answers[i].Answer = &netpoldv1.BatchAnswer_Error{Error: failure}
			continue
		}
		alone, err := netpoldv1.NewDecisionServiceClient(conn).Allowed(t.Context(), c.questions[i].Request)
		if err != nil {
			t.Errorf("%s\n\tanswered in a stream, and alone %v", c.questions[i].Text, err)
			alone = new(netpoldv1.AllowedResponse)
		}
		if alone.GetRevision() != response.GetRevision() || alone.GetToken() != response.GetToken() {
			t.Errorf("S25: revision %d and token %q in a stream; alone %v", response.GetRevision(),
				response.GetToken(), alone)
		}
		alone.Allowed = response.GetAllowed()[at/8]&(1<<(at%8)) != 0
		alone.Reason = netpoldv1.Reason(response.GetReasons()[at])
		answers[i].Answer = &netpoldv1.BatchAnswer_Response{Response: alone}
	}
	return answers
}

// oneBatch is a stream of one batch.
func oneBatch(t *testing.T, conn *grpc.ClientConn,
	batch *netpoldv1.StreamAllowedRequest) *netpoldv1.StreamAllowedResponse {
	t.Helper()
	stream, err := netpoldv1.NewDecisionServiceClient(conn).StreamAllowed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.Send(batch), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
	return response
}

// serve starts a server of one snapshot, and connects to it.
func serve(t *testing.T, snapshot *engine.Snapshot) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(door.Serve(t, snapshot), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	door.Close(t, conn)
	return conn
}

// askCommand runs the command on the manifests: `check -f -` with all questions, and `check SRC DST -p PORT`
// with the first that has words.
func askCommand(t *testing.T, c *cluster) []*netpoldv1.BatchAnswer {
	t.Helper()
	from := []string{"check", "--manifests", c.dir}
	if c.flags.Namespace != "" {
		from = append(from, "--namespace", c.flags.Namespace)
	}
	from = append(from, c.flags.Switches...)
	var questions bytes.Buffer
	wantCode := 0
	for _, q := range c.questions {
		line, err := protojson.Marshal(q.Request)
		if err != nil {
			t.Fatal(err)
		}
		questions.Write(append(line, '\n'))
		if q.Want.Error != nil {
			wantCode = 2
		}
	}
	code, stdout, stderr := door.Command(t.Context(), questions.String(), append(from, "-f", "-")...)
	if code != wantCode {
		t.Errorf("check -f exits with %d, want %d:\n%s", code, wantCode, stderr)
	}
	var answers []*netpoldv1.BatchAnswer
	for line := range strings.Lines(stdout) {
		answers = append(answers, answerOf(t, line))
	}
	checkWords(t, c, from)
	return answers
}

// answerOf reads one line that check -f wrote.
func answerOf(t *testing.T, line string) *netpoldv1.BatchAnswer {
	t.Helper()
	var failure struct{ Error json.RawMessage }
	if err := json.Unmarshal([]byte(line), &failure); err != nil {
		t.Fatal(err)
	}
	answer := new(netpoldv1.BatchAnswer)
	if failure.Error != nil {
		if err := protojson.Unmarshal([]byte(line), answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	response := new(netpoldv1.AllowedResponse)
	if err := protojson.Unmarshal([]byte(line), response); err != nil {
		t.Fatal(err)
	}
	answer.Answer = &netpoldv1.BatchAnswer_Response{Response: response}
	return answer
}

// checkWords asks the first question that the command's words can ask.
func checkWords(t *testing.T, c *cluster, from []string) {
	t.Helper()
	for _, q := range c.questions {
		if q.Src == "" || strings.Contains(q.Src+q.Dst, ";") {
			continue
		}
		port := strconv.FormatUint(uint64(q.Request.GetPort()), 10)
		args := append(from, q.Src, q.Dst, "-p", port) //nolint:gocritic // from is not used again
		if p := q.Request.GetProtocol(); p != netpoldv1.Protocol_PROTOCOL_UNSPECIFIED {
			args = append(args, "--protocol", strings.ToLower(strings.TrimPrefix(p.String(), "PROTOCOL_")))
		}
		want, verdict := 1, "denied"
		switch {
		case q.Want.Error != nil:
			want, verdict = 2, ""
		case q.Want.Allowed:
			want, verdict = 0, "allowed"
		}
		code, stdout, stderr := door.Command(t.Context(), "", args...)
		if code != want || !strings.Contains(strings.ToLower(stdout), verdict) {
			t.Errorf("%s\n\texit %d, want %d\n\t%s%s", strings.Join(args, " "), code, want, stdout, stderr)
		}
		return
	}
}
