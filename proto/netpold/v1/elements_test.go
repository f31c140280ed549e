package netpoldv1_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func marshalled(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// labelled returns a question about a Pod with so many labels and named ports.
func labelled(labels, ports int) *netpoldv1.AllowedRequest {
	pod := &netpoldv1.LabelledPod{Namespace: "shop", Labels: map[string]string{}}
	for i := range labels {
		pod.Labels[fmt.Sprint(i)] = ""
	}
	for range ports {
		pod.NamedPorts = append(pod.NamedPorts, &netpoldv1.NamedPort{})
	}
	return &netpoldv1.AllowedRequest{Src: &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Labels{Labels: pod}}}
}

// Elements counts messages, labels and named ports, and names the question that has too many.
func TestElements(t *testing.T) {
	t.Parallel()
	shape := netpoldv1.ShapeOf((*netpoldv1.BatchAllowedRequest)(nil).ProtoReflect().Descriptor())
	batch := func(questions ...*netpoldv1.AllowedRequest) []byte {
		return marshalled(t, &netpoldv1.BatchAllowedRequest{Questions: questions, AtLeast: "x"})
	}
	small := labelled(2, 1) // the question, its end, the Pod, 3
	for name, test := range map[string]struct {
		wire              []byte
		most, n, tooLarge int
	}{
		"empty":               {batch(), 10, 0, -1},
		"one":                 {batch(small), 10, 6, -1},
		"two":                 {batch(small, small), 12, 12, -1},
		"one too many":        {batch(small, small), 11, 11, 1},
		"a large question":    {batch(small, labelled(500, 522)), 1 << 20, 6 + 1 + 1024, -1},
		"too large":           {batch(small, labelled(500, 523), small), 1 << 20, 6 + 1 + 1024, 1},
		"empty ports":         {batch(labelled(0, 100_000)), 1 << 20, 1025, 0},
		"unknown and garbage": {append(batch(small), 0xff, 0xff), 10, 6, -1},
	} {
		if n, tooLarge := shape.Elements(test.wire, test.most); n != test.n || tooLarge != test.tooLarge {
			t.Errorf("%s: %d elements, %d, want %d, %d", name, n, tooLarge, test.n, test.tooLarge)
		}
	}
}

// Elements counts lists of packed numbers, and YAML, by what they are in memory.
func TestElementsOfValues(t *testing.T) {
	t.Parallel()
	watch := netpoldv1.ShapeOf((*netpoldv1.WatchAllowedRequest)(nil).ProtoReflect().Descriptor())
	removals := marshalled(t, &netpoldv1.WatchAllowedRequest{Remove: make([]uint64, 64_000)})
	if n, tooLarge := watch.Elements(removals, 1<<20); n != 1+2000 || tooLarge >= 0 {
		t.Errorf("64,000 removals are %d elements, %d", n, tooLarge)
	}
	overlaid := netpoldv1.ShapeOf((*netpoldv1.SimulateRequest)(nil).ProtoReflect().Descriptor())
	for text, want := range map[string]int{
		"":                               0,
		"kind: Pod\nmetadata:\n  a: b\n": 1,
		"a: [[], {}, {b: c}]":            3,
		"- - - x":                        1,
		`{"a": [1, 2, 3]}`:               2,
	} {
		request := marshalled(t, &netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{
			{Change: &netpoldv1.OverlayChange_Apply{Apply: text}},
		}}})
		if n, tooLarge := overlaid.Elements(request, 1<<20); n != 2+want || tooLarge >= 0 {
			t.Errorf("%q is %d elements, %d, want %d", text, n, tooLarge, 2+want)
		}
		if n, tooLarge := overlaid.Elements(request, 2+want-1); tooLarge != 0 && n >= 2+want {
			t.Errorf("%q: %d elements of %d at most", text, n, 2+want-1)
		}
	}
}

// A8: the largest overlay, of 10,000 policies as people write them, takes less than half of a quarter of the chart's memory.
func TestA8ElementsOfTheLargestOverlay(t *testing.T) {
	t.Parallel()
	text := ""
	for range 10_000 / 100 {
		text += strings.Repeat(usualPolicy, 100)
	}
	request := marshalled(t, &netpoldv1.SimulateRequest{Overlay: &netpoldv1.Overlay{Changes: []*netpoldv1.OverlayChange{
		{Change: &netpoldv1.OverlayChange_Apply{Apply: text}},
	}}})
	shape := netpoldv1.ShapeOf((*netpoldv1.SimulateRequest)(nil).ProtoReflect().Descriptor())
	n, tooLarge := shape.Elements(request, 640_000)
	if size := 400*n + 2*len(request); tooLarge >= 0 || size > 110<<20 || len(request) < 3<<20 {
		t.Errorf("%d elements of %d bytes, %d bytes in memory, %d", n, len(request), size, tooLarge)
	}
}

const usualPolicy = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: cart
  namespace: shop
spec:
  podSelector:
    matchLabels:
      app: cart
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector:
        matchLabels: {app: web}
    - namespaceSelector: {}
    ports:
    - port: 8080
    - port: 9090
  egress:
  - ports:
    - {port: 53, protocol: UDP}
`

// Whatever is counted, counting ends and never panics; a message that decodes has no fewer elements than counted
// questions.
func FuzzElements(f *testing.F) {
	shape := netpoldv1.ShapeOf((*netpoldv1.BatchAllowedRequest)(nil).ProtoReflect().Descriptor())
	f.Add([]byte{0x0a, 0x02, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, wire []byte) {
		n, tooLarge := shape.Elements(wire, 1<<20)
		var batch netpoldv1.BatchAllowedRequest
		if tooLarge < 0 && proto.Unmarshal(wire, &batch) == nil && n < len(batch.GetQuestions()) {
			t.Errorf("%d elements counted of %d questions", n, len(batch.GetQuestions()))
		}
	})
}
