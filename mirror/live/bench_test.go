package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror/convert"
	"github.com/netpold/netpold/mirror/live"
)

const replicas = 50 // of each Deployment

// realistic returns a Pod as clusters have them: 2 containers, 12 variables, 10 labels, managedFields; about
// 6 KB on the wire.
func realistic(n int) *corev1.Pod {
	deployment, hash := n/replicas, fmt.Sprintf("%010x", n/replicas*7919)
	app := fmt.Sprintf("service-%d", deployment)
	yes := true
	name := fmt.Sprintf("%s-%s-%05x", app, hash, n)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: fmt.Sprintf("team-%d", deployment%100), Name: name, ResourceVersion: strconv.Itoa(1000 + n),
		UID:               types.UID(fmt.Sprintf("%08x-5f2a-4c1b-9d7e-%012x", n, n)),
		CreationTimestamp: metav1.Unix(1_800_000_000+int64(n), 0),
		Labels: map[string]string{
			"app.kubernetes.io/name": app, "app.kubernetes.io/instance": app + "-prod",
			"app.kubernetes.io/version":   "v1.4." + strconv.Itoa(deployment%30),
			"app.kubernetes.io/component": "backend", "app.kubernetes.io/part-of": "platform",
			"app.kubernetes.io/managed-by": "Helm",
			"pod-template-hash":            hash, "team": fmt.Sprintf("team-%d", deployment%100),
			"tier": []string{"web", "api", "data"}[deployment%3], "env": "production",
		},
		Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9090",
			"checksum/config": strings.Repeat(hash, 6)},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app + "-" + hash,
			UID: types.UID(hash), Controller: &yes}},
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kube-controller-manager", Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{` +
					strings.Repeat(`"f:app.kubernetes.io/name":{},`, 40) + `".":{}}}}`)},
			{Manager: "kubelet", Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(`{"f:status":{` +
					strings.Repeat(`"k:{\"type\":\"Ready\"}":{"f:lastTransitionTime":{}},`, 20) + `".":{}}}`)},
		},
	}}
	for c := range 2 {
		container := corev1.Container{
			Name: []string{"app", "proxy"}[c], Image: "registry.example/" + app + ":v1.4.2",
			Ports: []corev1.ContainerPort{{Name: []string{"http", "metrics"}[c], ContainerPort: int32(8080 + c),
				Protocol: corev1.ProtocolTCP}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"),
				"memory": resource.MustParse("256Mi")}},
		}
		for e := range 12 {
			container.Env = append(container.Env,
				corev1.EnvVar{Name: fmt.Sprintf("SETTING_NUMBER_%d", e), Value: strings.Repeat("value-", 4)})
		}
		p.Spec.Containers = append(p.Spec.Containers, container)
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: "sha256:" + strings.Repeat("ab", 32),
			ContainerID: "containerd://" + strings.Repeat("cd", 32), Ready: true,
		})
	}
	p.Spec.NodeName = fmt.Sprintf("node-%d", n%2000)
	p.Status.Phase, p.Status.PodIP = corev1.PodRunning, address(n).String()
	p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	p.Status.HostIP = netip.AddrFrom4([4]byte{192, 168, byte(n % 2000 / 250), byte(n%250 + 1)}).String()
	p.Status.HostIPs = []corev1.HostIP{{IP: p.Status.HostIP}}
	for _, kind := range []corev1.PodConditionType{"Initialized", "Ready", "ContainersReady", "PodScheduled",
		"PodReadyToStartContainers"} {
		p.Status.Conditions = append(p.Status.Conditions,
			corev1.PodCondition{Type: kind, Status: "True", LastTransitionTime: metav1.Unix(1_800_000_000, 0)})
	}
	return p
}

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// decoded returns p as a decoder would: it shares no memory with another Pod.
func decoded(p *corev1.Pod) *corev1.Pod {
	wire, err := p.Marshal()
	if err != nil {
		panic(err)
	}
	fresh := &corev1.Pod{}
	if err := fresh.Unmarshal(wire); err != nil {
		panic(err)
	}
	return fresh
}

// A podStream serves n realistic Pods, made as they are sent, and nothing else.
type podStream struct {
	*apiServer
	pods   int
	events chan watch.Event // after the first list
}

func (s *podStream) listerWatcher(r, version string) (cache.ListerWatcher, error) {
	if r != "pods" {
		return s.apiServer.listerWatcher(r, version)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (kruntime.Object, error) {
			return nil, errors.New("only watches")
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w := watch.NewProxyWatcher(make(chan watch.Event))
			out := make(chan watch.Event)
			go s.send(ctx, o.SendInitialEvents != nil, out, w.StopChan())
			return streamed{w, out}, nil
		},
	}, nil
}

// A streamed is a watch whose events come from another channel.
type streamed struct {
	*watch.ProxyWatcher
	out chan watch.Event
}

func (s streamed) ResultChan() <-chan watch.Event { return s.out }

func (s *podStream) send(ctx context.Context, first bool, out chan<- watch.Event, stop <-chan struct{}) {
	defer close(out)
	put := func(e watch.Event) bool {
		select {
		case out <- e:
			return true
		case <-stop:
		case <-ctx.Done():
		}
		return false
	}
	if first {
		for n := range s.pods {
			if !put(watch.Event{Type: watch.Added, Object: decoded(realistic(n))}) {
				return
			}
		}
		if !put(bookmarkOf(convert.Kinds()[0], 10_000_000, true)) {
			return
		}
	}
	for {
		select {
		case e := <-s.events:
			if !put(e) {
				return
			}
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func settledHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFirstSync lists realistic Pods, from decoded objects to the first state, and measures the memory
// that stays: B/pod is that of the whole process, engine included.
func BenchmarkFirstSync(b *testing.B) {
	for _, pods := range []int{20_000, 100_000} {
		b.Run(strconv.Itoa(pods), func(b *testing.B) {
			for b.Loop() {
				before, peak := settledHeap(), uint64(0)
				server := &podStream{apiServer: newAPIServer(), pods: pods}
				for n := range 100 {
					server.apply(namespace(fmt.Sprintf("team-%d", n), labels("team", fmt.Sprintf("team-%d", n))))
				}
				source, stop := run(b, server)
				tick := time.NewTicker(time.Millisecond)
				for synced := false; !synced; {
					select {
					case <-source.Ready():
						synced = true
					case <-tick.C:
						peak = max(peak, heapBytes())
					}
				}
				tick.Stop()
				after := settledHeap()
				b.ReportMetric(float64(after-before)/float64(pods), "B/pod")
				b.ReportMetric(float64(peak-before)/float64(pods), "peak-B/pod")
				b.ReportMetric(0, "B/op")
				stop()
			}
		})
	}
}

func run(b *testing.B, server *podStream) (*live.Source, func()) {
	b.Helper()
	source, err := live.New(live.Config{
		ListerWatchers: server.listerWatcher, Discovery: server.discover, MaxStaleness: live.DefaultMaxStaleness,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	return source, func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkEventToDecision sends 1,000 decoded Pod events a second to a mirror of 20,000 Pods. It measures
// how long each takes to change its decision.
func BenchmarkEventToDecision(b *testing.B) {
	const pods, rate, changing = 20_000, 1000, 500
	server := &podStream{apiServer: newAPIServer(), pods: pods, events: make(chan watch.Event)}
	for n := range 100 {
		name := fmt.Sprintf("team-%d", n)
		server.apply(namespace(name, nil))
		for p := range 10 {
			server.apply(allow(name, fmt.Sprint("allow-", p),
				labels("tier", []string{"web", "api", "data"}[p%3], "env", "production")))
		}
	}
	source, stop := run(b, server)
	defer stop()
	<-source.Ready()
	// Each event removes a Pod's label env or restores it. The question is about a neighbour in its
	// namespace.
	type sent struct {
		pod, event int
		allowed    bool
		at         time.Time
	}
	flying := make(chan sent, 1<<16)
	var took []time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range flying {
			for {
				state, _ := source.State()
				d, err := state.Snapshot.Allowed(
					engine.Query{Src: engine.ByIP(address(f.pod)),
						Dst: engine.ByIP(address(f.pod/replicas*replicas + replicas - 1)), Port: 80})
				if err != nil {
					b.Error(err)
					return
				}
				if d.Allowed == f.allowed {
					took = append(took, time.Since(f.at))
					break
				}
				if time.Since(f.at) > 10*time.Second {
					b.Errorf("event %d has no effect", f.event)
					return
				}
				<-time.After(100 * time.Microsecond)
			}
		}
	}()
	event := 0
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for b.Loop() {
		n := event % changing * 2 % pods
		if n%replicas == replicas-1 {
			n--
		}
		p := realistic(n)
		p.ResourceVersion = strconv.Itoa(20_000_000 + event)
		gone := event/changing%2 == 0
		if gone {
			delete(p.Labels, "env")
		}
		p = decoded(p)
		<-tick.C
		at := time.Now()
		server.events <- watch.Event{Type: watch.Modified, Object: p}
		flying <- sent{n, event, !gone, at}
		event++
	}
	close(flying)
	<-done
	slices.Sort(took)
	if len(took) > 0 {
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
		b.ReportMetric(float64(source.Status().Resources[0].Objects), "pods")
	}
}
