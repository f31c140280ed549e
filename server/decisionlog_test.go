package server_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server"
)

// A decided is a line of the decision log.
type decided struct {
	Time       time.Time
	DecisionID string `json:"decision_id"`
	Method     string
	Index      *int
	Caller     struct{ Address, Identity string }
	Question   json.RawMessage
	Answer     json.RawMessage
	Error      json.RawMessage
	LatencyUS  *int64 `json:"latency_us"`
	TraceID    string `json:"trace_id"`
	Sampled    *float64
	RequestID  string `json:"request_id"`
	Dropped    int
}

// parseLog returns the lines of a decision log. Each must be whole, and known to the last key.
func parseLog(t *testing.T, text string) []decided {
	t.Helper()
	var out []decided
	if text != "" && !strings.HasSuffix(text, "\n") {
		t.Errorf("the last line is cut: %q", text[strings.LastIndexByte(text, '\n')+1:])
	}
	for line := range strings.Lines(text) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		var d decided
		if err := decoder.Decode(&d); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, d)
	}
	return out
}

func (d *decided) question(t *testing.T) *netpoldv1.AllowedRequest {
	t.Helper()
	return message(t, d.Question, new(netpoldv1.AllowedRequest))
}

func (d *decided) answer(t *testing.T) *netpoldv1.AllowedResponse {
	t.Helper()
	return message(t, d.Answer, new(netpoldv1.AllowedResponse))
}

func message[M proto.Message](t *testing.T, raw json.RawMessage, m M) M {
	t.Helper()
	if err := protojson.Unmarshal(raw, m); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return m
}

// startLogged serves with a decision log. The function that it returns stops the server, and returns what it
// wrote.
func startLogged(t *testing.T, change func(*server.Config)) (*running, func() []decided) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	r := start(t, synced(shop()...), func(c *server.Config) {
		c.DecisionLog = path
		if change != nil {
			change(c)
		}
	})
	return r, func() []decided {
		t.Helper()
		r.stop()
		if err := r.wait(t); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return parseLog(t, string(text))
	}
}

const decisionID = "netpold-decision-id"

// idOf returns the decision_id of a response's metadata.
func idOf(t *testing.T, md metadata.MD) string {
	t.Helper()
	ids := md.Get(decisionID)
	if len(ids) != 1 || len(ids[0]) != 32 || strings.Trim(ids[0], "0123456789abcdef") != "" {
		t.Fatalf("the metadata has %q, want 32 hex digits once", ids)
	}
	return ids[0]
}

// requestInfo returns the request_id of the details of an error.
func requestInfo(t *testing.T, st *spb.Status) string {
	t.Helper()
	for _, detail := range status.FromProto(st).Details() {
		if info, ok := detail.(*errdetails.RequestInfo); ok {
			return info.GetRequestId()
		}
	}
	t.Errorf("no RequestInfo in %v", st)
	return ""
}

// TestG1Allowed proves what a record says of an answer, of a denial and of an error, and that its id is in
// the metadata, in the error's details, and in the server's log.
func TestG1Allowed(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	r, written := startLogged(t, func(c *server.Config) { c.Logger = log.logger() })
	began := time.Now()
	ctx := metadata.AppendToOutgoingContext(soon(t), "x-request-id", "of the caller", "traceparent",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	denied, wrong := ask(), ask()
	denied.Port, wrong.Port = 9090, 0
	var ids []string
	var want []*netpoldv1.AllowedResponse
	var fail error
	for _, q := range []*netpoldv1.AllowedRequest{ask(), denied, wrong} {
		var header metadata.MD
		answer, err := r.decisions().Allowed(ctx, q, grpc.Header(&header))
		ids, want, fail = append(ids, idOf(t, header)), append(want, answer), err
	}
	got := written()
	if len(got) != 3 {
		t.Fatalf("%d records, want 3", len(got))
	}
	for i, q := range []*netpoldv1.AllowedRequest{ask(), denied, wrong} {
		d := &got[i]
		if d.DecisionID != ids[i] || d.Method != "Allowed" || d.Index != nil || d.RequestID != "of the caller" ||
			d.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || *d.Sampled != 1 || *d.LatencyUS < 0 ||
			d.Time.Before(began) || d.Time.After(time.Now()) || !strings.HasPrefix(d.Caller.Address, "127.0.0.1:") ||
			d.Caller.Identity != "" {
			t.Errorf("record %d of %s is %+v", i, ids[i], d)
		}
		if diff := cmp.Diff(q, d.question(t), protocmp.Transform()); diff != "" {
			t.Errorf("question %d (-asked +written):\n%s", i, diff)
		}
	}
	for i, answer := range want[:2] {
		answer.Token = ""
		if diff := cmp.Diff(answer, got[i].answer(t), protocmp.Transform()); diff != "" {
			t.Errorf("answer %d (-given +written):\n%s", i, diff)
		}
		if !bytes.Contains(got[i].Answer, []byte(`"allowed":`)) || bytes.Contains(got[i].Answer, []byte("token")) {
			t.Errorf("answer %d is written as %s", i, got[i].Answer)
		}
	}
	st := status.Convert(fail).Proto()
	if id := requestInfo(t, st); id != ids[2] {
		t.Errorf("the error's details have %q, the metadata %q", id, ids[2])
	}
	if diff := cmp.Diff(st, message(t, got[2].Error, new(spb.Status)), protocmp.Transform()); diff != "" {
		t.Errorf("error (-given +written):\n%s", diff)
	}
	if !strings.Contains(log.String(), "decision_id="+ids[2]) {
		t.Errorf("the server's log lacks the id:\n%s", log)
	}
}

// TestG1AtOnce proves that calls in progress at once have an id each in their metadata, that of their own record.
func TestG1AtOnce(t *testing.T) {
	t.Parallel()
	r, written := startLogged(t, nil)
	const callers, each = 8, 100
	ids := make([]string, callers*each)
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := caller * each; i < (caller+1)*each; i++ {
				q := ask()
				q.Port = uint32(i + 1)
				var header metadata.MD
				if _, err := r.decisions().Allowed(soon(t), q, grpc.Header(&header)); err != nil {
					t.Error(err)
					return
				}
				ids[i] = strings.Join(header.Get(decisionID), " ")
			}
		})
	}
	group.Wait()
	got := written()
	if len(got) != len(ids) {
		t.Fatalf("%d records, want %d", len(got), len(ids))
	}
	for i := range got {
		if port := got[i].question(t).GetPort(); got[i].DecisionID != ids[port-1] {
			t.Errorf("the record of port %d has the id %s, the metadata %s", port, got[i].DecisionID, ids[port-1])
		}
	}
}

// TestG1Batch proves that a batch has one id, and that its records differ in index. A batch that fails as a
// whole has one record.
func TestG1Batch(t *testing.T) {
	t.Parallel()
	r, written := startLogged(t, func(c *server.Config) { c.MaxBatch = 3 })
	denied, wrong := ask(), ask()
	denied.Port, wrong.Dst = 9090, netpold.IP("nowhere")
	var header metadata.MD
	answers, err := r.decisions().BatchAllowed(soon(t), batchOf(ask(), denied, wrong), grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	id := idOf(t, header)
	_, err = r.decisions().BatchAllowed(soon(t), batchOf(ask(), ask(), ask(), ask()), grpc.Header(&header))
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatal(err)
	}
	got := written()
	if len(got) != 4 {
		t.Fatalf("%d records, want 4", len(got))
	}
	for i, answer := range answers.GetAnswers() {
		d := &got[i]
		if d.DecisionID != id || *d.Index != i || d.Method != "BatchAllowed" {
			t.Errorf("record %d is %+v", i, d)
		}
		if answer.GetError() != nil {
			if requestInfo(t, answer.GetError()) != id {
				t.Errorf("the error %v has not the id %s", answer.GetError(), id)
			}
			if !proto.Equal(answer.GetError(), message(t, d.Error, new(spb.Status))) {
				t.Errorf("error %d is %v, and written as %s", i, answer.GetError(), d.Error)
			}
			continue
		}
		answer.GetResponse().Token = ""
		if diff := cmp.Diff(answer.GetResponse(), d.answer(t), protocmp.Transform()); diff != "" {
			t.Errorf("answer %d (-given +written):\n%s", i, diff)
		}
	}
	if got[1].answer(t).GetAllowed() || !proto.Equal(got[2].question(t), wrong) {
		t.Errorf("the questions and answers do not fit: %+v", got)
	}
	last := &got[3]
	if last.DecisionID != idOf(t, header) || last.Question != nil || last.Index != nil || last.Answer != nil ||
		requestInfo(t, message(t, last.Error, new(spb.Status))) != last.DecisionID {
		t.Errorf("the record of the call that failed is %+v", last)
	}
}

// TestG1Stream proves that the id of each message of a stream follows from that in the metadata, and that
// every answer is written with its question, also after the stream has reused its memory.
func TestG1Stream(t *testing.T) {
	t.Parallel()
	r, written := startLogged(t, nil)
	stream, err := r.decisions().StreamAllowed(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	questions := []*netpoldv1.StreamAllowedRequest{
		{ // allowed, denied, wrong
			Src:   &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: bytes.Repeat([]byte{10, 0, 1, 4}, 3)},
			Dst:   &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: bytes.Repeat([]byte{10, 0, 3, 7}, 3)},
			Ports: []byte{0x1f, 0x90, 0, 9, 0, 0}, Protocols: []byte{0, 2, 1},
		},
		{ // an address of each family
			Src: &netpoldv1.StreamAllowedRequest_SrcIpv6{SrcIpv6: append(
				packed("2001:db8::1:4"), packed("::ffff:10.0.1.4")...)},
			Dst: &netpoldv1.StreamAllowedRequest_DstIpv6{DstIpv6: append(
				packed("2001:db8::3:7"), packed("::ffff:10.0.3.7")...)},
			Port: 8080, Protocol: netpoldv1.Protocol_PROTOCOL_TCP,
		},
		{Port: 1}, // ends the stream
	}
	var answers []*netpoldv1.StreamAllowedResponse
	for _, q := range questions {
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			if requestInfo(t, status.Convert(err).Proto()) == "" {
				t.Error(err)
			}
			break
		}
		answers = append(answers, answer)
	}
	header, err := stream.Header()
	if err != nil {
		t.Fatal(err)
	}
	id := idOf(t, header)
	got := written()
	if len(answers) != 2 || len(got) != 6 {
		t.Fatalf("%d answers, %d records", len(answers), len(got))
	}
	type line struct {
		ID, Src, Dst string
		Index        int
		Port         uint32
		Allowed      bool
	}
	var lines []line
	for i := range got[:5] {
		d, q := &got[i], got[i].question(t)
		l := line{d.DecisionID, q.GetSrc().GetIp(), q.GetDst().GetIp(), *d.Index, q.GetPort(), false}
		if d.Answer != nil {
			l.Allowed = d.answer(t).GetAllowed()
			if d.answer(t).GetReason() == 0 || d.answer(t).GetRevision() != answers[0].GetRevision() {
				t.Errorf("answer %d is %s", i, d.Answer)
			}
		}
		lines = append(lines, l)
	}
	second := successor(t, id)
	want := []line{
		{id, "10.0.1.4", "10.0.3.7", 0, 8080, true},
		{id, "10.0.1.4", "10.0.3.7", 1, 9, false},
		{id, "10.0.1.4", "10.0.3.7", 2, 0, false},
		{second, "2001:db8::1:4", "2001:db8::3:7", 0, 8080, true},
		{second, "10.0.1.4", "10.0.3.7", 1, 8080, true},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[1].question(t).GetProtocol() != netpoldv1.Protocol_PROTOCOL_UDP {
		t.Errorf("the protocol is %s", got[1].Question)
	}
	if requestInfo(t, answers[0].GetErrors()[0].GetError()) != id || got[2].Error == nil {
		t.Errorf("the error of a question: %v, %s", answers[0], got[2].Error)
	}
	if last := &got[5]; last.DecisionID != successor(t, second) || last.Question != nil || last.Error == nil {
		t.Errorf("the record of the message that ended the stream is %+v", last)
	}
}

// TestG1Identity proves whom a record names as the caller: the URI of the client certificate, else its DNS
// name, else its subject.
func TestG1Identity(t *testing.T) {
	t.Parallel()
	servers, clients, files := newAuthority(t, "servers"), newAuthority(t, "clients"), tlsFiles(t)
	cert, key := servers.issue(1, time.Now().Add(time.Hour))
	write(t, map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: clients.pem})
	r, written := startLogged(t, func(c *server.Config) { c.TLS = files })
	var want []string
	for _, names := range [][]string{
		{"spiffe://td/ns/shop/sa/web", "web.shop", "web"}, {"web.shop", "", "web"}, {"CN=web", "", "web"},
	} {
		want = append(want, names[0])
		config := servers.client(nil)
		config.Certificates = append(config.Certificates, clients.issueTo(names))
		if err := askOver(t, r, config); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, d := range written() {
		got = append(got, d.Caller.Identity)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestG1NoLogNoID proves that a server without a decision log sends no id.
func TestG1NoLogNoID(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), nil)
	var header metadata.MD
	wrong := ask()
	wrong.Port = 0
	_, err := r.decisions().Allowed(soon(t), wrong, grpc.Header(&header))
	if len(header.Get(decisionID)) > 0 || len(status.Convert(err).Details()) != 2 {
		t.Errorf("%v, %v", header, err)
	}
}

// TestG1Others proves that what is no decision is not written.
func TestG1Others(t *testing.T) {
	t.Parallel()
	r, written := startLogged(t, nil)
	statuses, audits := netpoldv1.NewStatusServiceClient(r.conn), netpoldv1.NewAuditServiceClient(r.conn)
	if _, err := statuses.GetStatus(soon(t), &netpoldv1.GetStatusRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := audits.Explain(soon(t), &netpoldv1.ExplainRequest{Question: ask()}); err != nil {
		t.Error(err)
	}
	if got := written(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// TestG1Panic proves that a call that panicked is written as the error that its caller got.
func TestG1Panic(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	source := &panicking{Source: synced(shop()...), now: make(chan struct{}, 1)}
	r := start(t, source, func(c *server.Config) { c.DecisionLog = path })
	source.now <- struct{}{}
	_, err := r.decisions().Allowed(soon(t), ask())
	if status.Code(err) != codes.Internal {
		t.Fatal(err)
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := parseLog(t, string(text)); len(got) != 1 || !proto.Equal(got[0].question(t), ask()) ||
		message(t, got[0].Error, new(spb.Status)).GetCode() != int32(codes.Internal) {
		t.Errorf("%s", text)
	}
}

// TestG2 proves that sampling leaves out allowed answers alone, and that one that is left out has no id.
func TestG2(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*server.Config){
		"sample 0":     func(c *server.Config) { c.DecisionLogSample = 0 },
		"denials only": func(c *server.Config) { c.DecisionLogDenialsOnly = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, written := startLogged(t, change)
			denied, wrong := ask(), ask()
			denied.Port, wrong.Port = 9090, 0
			all := []*netpoldv1.AllowedRequest{ask(), denied, wrong}
			for i, q := range all {
				var header metadata.MD
				_, _ = r.decisions().Allowed(soon(t), q, grpc.Header(&header))
				if got := len(header.Get(decisionID)); got != min(i, 1) {
					t.Errorf("question %d has %d ids", i, got)
				}
			}
			if _, err := r.decisions().BatchAllowed(soon(t), batchOf(all...)); err != nil {
				t.Error(err)
			}
			got := written()
			if len(got) != 4 || *got[2].Index != 1 || *got[3].Index != 2 {
				t.Fatalf("%+v", got)
			}
			for _, d := range got {
				if *d.Sampled != 1 || d.Error == nil && d.answer(t).GetAllowed() {
					t.Errorf("%+v", d)
				}
			}
		})
	}
	t.Run("sample 0.25", func(t *testing.T) {
		t.Parallel()
		r, written := startLogged(t, func(c *server.Config) { c.DecisionLogSample = 0.25 })
		questions := make([]*netpoldv1.AllowedRequest, 8000)
		for i := range questions {
			questions[i] = ask()
		}
		if _, err := r.decisions().BatchAllowed(soon(t), batchOf(questions...)); err != nil {
			t.Fatal(err)
		}
		got := written()
		// Six standard deviations, which are 39 each.
		if len(got) < 2000-234 || len(got) > 2000+234 {
			t.Errorf("%d of 8000 are written", len(got))
		}
		for _, d := range got {
			if *d.Sampled != 0.25 {
				t.Fatalf("%+v", d)
			}
		}
	})
}

// TestG3Status proves that GetStatus says how the log fares, and that a full disk alters no answer.
func TestG3Status(t *testing.T) {
	t.Parallel()
	r := start(t, synced(shop()...), func(c *server.Config) { c.DecisionLog = "/dev/full" })
	client := netpoldv1.NewStatusServiceClient(r.conn)
	for {
		if answer, err := r.decisions().Allowed(soon(t), ask()); err != nil || !answer.GetAllowed() {
			t.Fatal(answer, err)
		}
		st, err := client.GetStatus(soon(t), &netpoldv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		log := st.GetDecisionLog()
		if log.GetTarget() != "/dev/full" || log.GetWritten() > 0 {
			t.Fatal(log)
		}
		if strings.Contains(log.GetError(), "no space left on device") && log.GetQueued() > 0 {
			return
		}
	}
}

// TestG3CannotOpen proves that a path that cannot be opened is an error of the configuration, with a remedy.
func TestG3CannotOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, remedy := range map[string]string{
		filepath.Join(dir, "none", "log"): "make the folder first", dir: "give the path of a file in it",
	} {
		config := server.Defaults()
		config.Source, config.Listen, config.AdminListen, config.DecisionLog = synced(), "127.0.0.1:0", "", path
		_, err := server.New(config)
		field, ok := errors.AsType[*server.FieldError](err)
		if !ok || field.Fields[0].Name != "DecisionLog" || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func batchOf(questions ...*netpoldv1.AllowedRequest) *netpoldv1.BatchAllowedRequest {
	return &netpoldv1.BatchAllowedRequest{Questions: questions}
}

// successor returns the id of the next message of a stream.
func successor(t *testing.T, id string) string {
	t.Helper()
	n, ok := new(big.Int).SetString(id, 16)
	if !ok {
		t.Fatal(id)
	}
	return fmt.Sprintf("%032x", n.Add(n, big.NewInt(1)))
}

func packed(ip string) []byte {
	addr := netip.MustParseAddr(ip).As16()
	return addr[:]
}

// issueTo returns a client certificate with a URI if the first name is one, a DNS name, and a subject.
func (a *authority) issueTo(names []string) tls.Certificate {
	a.t.Helper()
	private := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(98), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: names[2]},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names[:2] {
		if uri, err := url.Parse(name); err == nil && uri.Scheme != "" {
			template.URIs = append(template.URIs, uri)
		} else if strings.Contains(name, ".") {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}
