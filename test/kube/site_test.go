package kube_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/test/kube/kubetest"
	"github.com/netpold/netpold/test/scenario"
)

// site is a cluster in which netpold may do what deploy/ grants, and nothing more.
type site struct {
	*kubetest.Cluster
	// tokenFile is netpold's token, which the kubeconfig names.
	kubeconfig, tokenFile string
}

// contextName is not the kubeconfig's current one.
const contextName = "other"

func newSite(t *testing.T, args ...string) *site {
	t.Helper()
	s := &site{Cluster: kubetest.Start(t, args...), tokenFile: filepath.Join(t.TempDir(), "token")}
	kubetest.WriteToken(t, s.tokenFile, kubetest.AccountToken)
	s.kubeconfig = s.Kubeconfig(contextName, kubetest.Credentials{TokenFile: s.tokenFile})
	s.grant(t, unedited)
	return s
}

func unedited(*unstructured.Unstructured) {}

// grant applies the ServiceAccount, the role and its binding, as they are shipped but for edit.
func (s *site) grant(t *testing.T, edit func(*unstructured.Unstructured)) {
	t.Helper()
	s.CreateNamespace(t.Context(), namespace)
	list := kustomized(t, "base")
	for _, kind := range []string{"ServiceAccount", "ClusterRole", "ClusterRoleBinding"} {
		object := only(t, list, kind)
		edit(object)
		if err := s.Applier().Apply(t.Context(), object, false); err != nil {
			t.Fatal(err)
		}
	}
}

// serve runs netpold on the cluster, until the test ends. It may not be ready yet.
func (s *site) serve(t *testing.T, args ...string) *kubetest.Netpold {
	t.Helper()
	return kubetest.StartNetpold(t, append([]string{"--kubeconfig=" + s.kubeconfig, "--context=" + contextName,
		"--max-deadline=" + patience.String()}, args...)...)
}

// serveReady is serve, and waits until questions are answered.
func (s *site) serveReady(t *testing.T, args ...string) *kubetest.Netpold {
	t.Helper()
	n := s.serve(t, args...)
	n.AwaitReady()
	return n
}

// soon bounds one call.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// ask asks random questions of the state that the world's last change is in, and compares each answer with the oracle's.
func (w *world) ask(ctx context.Context, client *netpold.Client, questions int) error {
	return w.askAt(ctx, client, questions, w.token)
}

// askAt is ask, of a state not older than token.
func (w *world) askAt(ctx context.Context, client *netpold.Client, questions int, token string) error {
	return w.askOf(ctx, func(ctx context.Context, batch *netpoldv1.BatchAllowedRequest) (*netpoldv1.BatchAllowedResponse, error) {
		return client.BatchAllowed(ctx, batch)
	}, questions, token)
}

type asker func(context.Context, *netpoldv1.BatchAllowedRequest) (*netpoldv1.BatchAllowedResponse, error)

func (w *world) askOf(ctx context.Context, ask asker, questions int, token string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	batch := &netpoldv1.BatchAllowedRequest{AtLeast: token}
	services := w.serviceAddresses()
	for range questions {
		batch.Questions = append(batch.Questions, w.r.Question(services))
	}
	answers, err := ask(ctx, batch)
	if err != nil {
		return fmt.Errorf("asking %d questions: %w", questions, err)
	}
	oracle := w.oracle()
	var errs []error
	for i, answer := range answers.GetAnswers() {
		question, ok := scenario.Question{Request: batch.GetQuestions()[i]}.Engine()
		if !ok {
			return fmt.Errorf("question %v is wrong in itself", batch.GetQuestions()[i])
		}
		want, err := oracle.Allowed(question)
		if differences := wanted(want, err).Compare(answer); len(differences) > 0 {
			errs = append(errs, fmt.Errorf("%s: %s", protojson.Format(batch.GetQuestions()[i]), strings.Join(differences, "; ")))
		}
	}
	if len(answers.GetAnswers()) != questions {
		errs = append(errs, fmt.Errorf("%d answers to %d questions", len(answers.GetAnswers()), questions))
	}
	return errors.Join(errs...)
}

// wanted is an oracle's answer as answers over the wire are compared with.
func wanted(d engine.Decision, err error) scenario.Want {
	if err != nil {
		return wantedError(err)
	}
	w := scenario.Want{
		Allowed: d.Allowed, Egress: ruleOf(d.Egress), Ingress: ruleOf(d.Ingress),
		Backends: &scenario.Backends{Allowed: d.BackendsAllowed, Total: d.BackendsTotal},
		Reason: map[engine.Reason]netpoldv1.Reason{
			engine.Self: netpoldv1.Reason_REASON_SELF, engine.LocalNode: netpoldv1.Reason_REASON_LOCAL_NODE,
			engine.NotIsolated: netpoldv1.Reason_REASON_NOT_ISOLATED, engine.AllowedByRule: netpoldv1.Reason_REASON_ALLOWED_BY_RULE,
			engine.DeniedAtEgress: netpoldv1.Reason_REASON_DENIED_AT_EGRESS, engine.DeniedAtIngress: netpoldv1.Reason_REASON_DENIED_AT_INGRESS,
		}[d.Reason],
		Families: []netpoldv1.IpFamily{},
	}
	if d.Families&engine.IPv4 != 0 {
		w.Families = append(w.Families, netpoldv1.IpFamily_IP_FAMILY_IPV4)
	}
	if d.Families&engine.IPv6 != 0 {
		w.Families = append(w.Families, netpoldv1.IpFamily_IP_FAMILY_IPV6)
	}
	switch d.Reason {
	case engine.DeniedAtEgress:
		w.IsolatedBy = names(d.Egress.Isolating)
	case engine.DeniedAtIngress:
		w.IsolatedBy = names(d.Ingress.Isolating)
	default:
	}
	return w
}

func ruleOf(s engine.Side) string {
	if s.Policy == nil {
		return "-"
	}
	return fmt.Sprintf("%s/%s#%d", s.Policy.Namespace, s.Policy.Name, s.Rule)
}

func names(policies []*engine.Policy) []string {
	list := make([]string, len(policies))
	for i, p := range policies {
		list[i] = p.Namespace + "/" + p.Name
	}
	return list
}

func wantedError(err error) scenario.Want {
	q, ok := errors.AsType[*engine.QueryError](err)
	if !ok {
		return scenario.Want{Error: &scenario.WantError{Reason: "oracle: " + err.Error()}}
	}
	w := map[engine.ErrorCode]scenario.WantError{
		engine.InvalidQuestion:  {Code: codes.InvalidArgument, Reason: "INVALID_QUESTION"},
		engine.NotFound:         {Code: codes.NotFound, Reason: "NOT_FOUND"},
		engine.PodFinished:      {Code: codes.NotFound, Reason: "POD_FINISHED"},
		engine.WorkloadFinished: {Code: codes.FailedPrecondition, Reason: "WORKLOAD_FINISHED"},
		engine.NoServicePort:    {Code: codes.FailedPrecondition, Reason: "NO_SERVICE_PORT"},
		engine.NoReadyEndpoint:  {Code: codes.FailedPrecondition, Reason: "NO_READY_ENDPOINT"},
		engine.ExternalName:     {Code: codes.FailedPrecondition, Reason: "EXTERNAL_NAME"},
	}[q.Code]
	w.End = "src"
	if q.Dst {
		w.End = "dst"
	}
	return scenario.Want{Error: &w}
}

// reasonOf is the ErrorInfo reason of a call's error; empty for none.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
