package server_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	netpold "github.com/netpold/netpold/clients/go"
	"github.com/netpold/netpold/engine"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/server/decisions"
)

// village returns a cluster whose names are easily mistyped. Its Services have no endpoint, each for another
// reason.
func village() []engine.Object {
	in := func(namespace, name string, workloads ...engine.Workload) *engine.Pod {
		return &engine.Pod{Namespace: namespace, Name: name, Labels: map[string]string{"app": name},
			Workloads: workloads}
	}
	service := func(name, app string, ips ...string) *engine.Service {
		s := &engine.Service{Namespace: "en", Name: name, Ports: []engine.ServicePort{{Name: "p", Port: 80}}}
		if app != "" {
			s.Selector = map[string]string{"app": app}
		}
		for _, ip := range ips {
			s.IPs = append(s.IPs, addr(ip))
		}
		return s
	}
	slice := func(service string, port string, endpoints ...engine.SliceEndpoint) *engine.EndpointSlice {
		return &engine.EndpointSlice{
			Namespace: "en", Name: service + "-1", Service: service, Endpoints: endpoints,
			Ports: []engine.ServicePort{{Name: port, Port: 8080}},
		}
	}
	placeholder, gone, unready := in("shop", "idle:Deployment",
		engine.Workload{Kind: "Deployment", Name: "idle"}), in("en", "gone"), in("en", "unready")
	placeholder.Finished, placeholder.Placeholder, gone.Finished = true, true, true
	unready.IPs = append(unready.IPs, addr("10.0.0.1"))
	unready.Ports = []engine.NamedPort{{Name: "web", Port: 80}, {Name: "dns", Port: 53, Protocol: engine.UDP}}
	badname := service("badname", "unready")
	badname.PortDetails = []engine.ServicePortDetail{{Port: 80, Target: "http"}}
	return []engine.Object{
		in("shop", "frontend-5d9f-abcde", engine.Workload{Kind: "ReplicaSet", Name: "frontend-5d9f"},
			engine.Workload{Kind: "Deployment", Name: "frontend"}),
		in("shop", "redis-0", engine.Workload{Kind: "StatefulSet", Name: "redis"}),
		&engine.Service{Namespace: "shop", Name: "cart"}, &engine.Service{Namespace: "cw", Name: "prometheus"},
		in("prod", "worker"), in("test", "worker"), in("other", "lonely"), placeholder, gone, unready,
		service("manual", ""), service("empty", ""), slice("empty", "p"),
		service("typo", "nobody"), service("gone", "gone"), badname,
		slice("badname", "x", engine.SliceEndpoint{Addr: addr("10.0.0.1"), Ready: true}),
		service("renamed", "unready"),
		slice("renamed", "x", engine.SliceEndpoint{Addr: addr("10.0.0.1"), Ready: true}),
		service("unready", "unready"),
		slice("unready", "p", engine.SliceEndpoint{Addr: addr("10.0.0.1"), Pod: "unready"}),
		service("unread", "unready"),
		service("absent", "x"), slice("absent", "p",
			engine.SliceEndpoint{Addr: addr("10.0.0.8"), Pod: "a-1", Ready: true},
			engine.SliceEndpoint{Addr: addr("10.0.0.9"), Pod: "far/a-2", Ready: true}),
		service("four", "x", "10.96.0.4", "fd00:96::4"),
		slice("four", "p", engine.SliceEndpoint{Addr: addr("10.0.0.1"), Ready: true}),
	}
}

// S24, S27: an error about a name says what was probably meant, and one about a Service why it has no
// endpoint.
func TestAdvice(t *testing.T) {
	t.Parallel()
	client := start(t, synced(village()...), nil).decisions()
	pod, workload, service := netpold.Pod, netpold.Workload, netpold.Service
	for name, test := range map[string]struct {
		src, dst *netpoldv1.Endpoint
		code     codes.Code
		want     string
	}{
		"a Pod where a workload is": {pod("shop", "frontend"), nil, codes.NotFound,
			`src: Pod "shop/frontend" is not known: did you mean deploy/shop/frontend?`},
		"a workload where a Pod is": {workload("shop", "StatefulSet", "redis-0"), nil, codes.NotFound,
			"did you mean shop/redis-0?"},
		"another kind of workload": {workload("shop", "Deployment", "redis"), nil, codes.NotFound,
			"did you mean sts/shop/redis?"},
		"a name that is near": {workload("shop", "Deployment", "fronted"), nil, codes.NotFound,
			"did you mean deploy/shop/frontend?"},
		"a Pod of before": {pod("shop", "frontend-77aa-zzzzz"), nil, codes.NotFound,
			"did you mean its workload, deploy/shop/frontend?"},
		"a namespace that is near": {pod("shpo", "redis-0"), nil, codes.NotFound,
			"there is nothing in namespace shpo; did you mean shop/redis-0?"},
		"a namespace alone": {pod("shpo", "zzz"), nil, codes.NotFound, "did you mean namespace shop?"},
		"a namespace of nothing": {pod("qqqqqq", "zzz"), nil, codes.NotFound,
			"there is nothing in namespace qqqqqq; check the namespace"},
		"a namespace of Services alone": {pod("cw", "alertmanager"), nil, codes.NotFound,
			"namespace cw has no Pod that is known"},
		"one that is near": {nil, service("cww", "prometheus"), codes.NotFound,
			"there is nothing in namespace cww; did you mean svc/cw/prometheus?"},
		"in other namespaces": {pod("other", "worker"), nil, codes.NotFound,
			"did you mean prod/worker or test/worker?"},
		"a kind that a namespace lacks": {workload("other", "Job", "zzz"), nil, codes.NotFound,
			"namespace other has no Job that is known; workloads are known by their Pods, so that one that is scaled to 0 is not"},
		"a workload like nothing": {workload("shop", "Deployment", "zzz"), nil, codes.NotFound,
			"one that is scaled to 0 is not"},
		"a Pod like nothing": {pod("shop", "zzz"), nil, codes.NotFound,
			`Pod "shop/zzz" is not known: check the namespace and the name`},
		"a Service that is near": {nil, service("shop", "crat"), codes.NotFound,
			"dst: Service \"shop/crat\" is not known: did you mean svc/shop/cart?"},
		"a Pod where a Service is": {nil, pod("shop", "cart"), codes.NotFound, "did you mean svc/shop/cart?"},
		"a Service can be no source": {pod("shop", "cart"), nil, codes.NotFound,
			"check the namespace and the name"},
		"a Deployment scaled to 0": {workload("shop", "Deployment", "idle"), nil, codes.FailedPrecondition,
			"has no Pods left: its replicas are 0"},
		"neither selector nor slice": {nil, service("en", "manual"), codes.FailedPrecondition,
			"has no ready endpoint for port 80/TCP: it has no selector and no EndpointSlice"},
		"no selector, an empty slice": {nil, service("en", "empty"), codes.FailedPrecondition,
			"it has no selector, and its EndpointSlices have no endpoint"},
		"a selector of no Pod": {nil, service("en", "typo"), codes.FailedPrecondition,
			"its selector app=nobody matches no Pod of namespace en"},
		"all have finished": {nil, service("en", "gone"), codes.FailedPrecondition,
			"the one Pod that its selector matches has finished"},
		"no Pod has the port's name": {nil, service("en", "badname"), codes.FailedPrecondition,
			"no Pod has a port named http; the Pods that its selector matches have web"},
		"slices without the port": {nil, service("en", "renamed"), codes.FailedPrecondition,
			"its EndpointSlices have no port named p"},
		"a Pod that is not ready": {nil, service("en", "unready"), codes.FailedPrecondition,
			"its Pod is not ready: en/unready"},
		"Pods without a slice": {nil, service("en", "unread"), codes.FailedPrecondition,
			"its selector matches 1 Pod, but no EndpointSlice of it was read"},
		"Pods that are not there": {nil, service("en", "absent"), codes.FailedPrecondition,
			"its EndpointSlices name 2 Pods that are not there with those addresses: en/a-1, far/a-2"},
		"the other family": {nil, netpold.IP("fd00:96::4"), codes.FailedPrecondition,
			"no address of the family that was asked; ask svc/en/four"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := &netpoldv1.AllowedRequest{Src: test.src, Dst: test.dst, Port: 80}
			if question.GetSrc() == nil {
				question.Src = pod("shop", "redis-0")
			}
			if question.GetDst() == nil {
				question.Dst = pod("shop", "redis-0")
			}
			_, err := client.Allowed(soon(t), question)
			if got := status.Convert(err); got.Code() != test.code || !strings.Contains(got.Message(), test.want) {
				t.Errorf("%v, want %v with %q", err, test.code, test.want)
			}
			batch, err := client.BatchAllowed(soon(t),
				&netpoldv1.BatchAllowedRequest{Questions: []*netpoldv1.AllowedRequest{question}})
			if err != nil {
				t.Fatal(err)
			}
			if got := batch.GetAnswers()[0].GetError().GetMessage(); !strings.Contains(got, test.want) {
				t.Errorf("in a batch %q, want %q", got, test.want)
			}
		})
	}
}

// In a batch of unknown names only the first ones get advice.
func TestAdviceIsBounded(t *testing.T) {
	t.Parallel()
	service := decisions.New(synced(village()...), decisions.Options{})
	batch := &netpoldv1.BatchAllowedRequest{}
	for i := range 500 {
		batch.Questions = append(batch.Questions, &netpoldv1.AllowedRequest{
			Src: netpold.Pod("shop", fmt.Sprintf("frontend%d", i)), Dst: netpold.Pod("shop", "redis-0"), Port: 80,
		})
	}
	answers, err := service.BatchAllowed(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	advised := 0
	for _, answer := range answers.GetAnswers() {
		if strings.Contains(answer.GetError().GetMessage(), "did you mean") {
			advised++
		}
	}
	if advised == 0 || advised > 100 {
		t.Errorf("%d of %d errors have advice", advised, len(batch.GetQuestions()))
	}
}
