package peers

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/np-guard/netpol-analyzer/pkg/logger"
	"github.com/np-guard/netpol-analyzer/pkg/netpol/eval"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// analyzer is netpol-analyzer's engine behind its command "evaluate". It knows Pods by name alone. Its cache can not be switched
// off, and appends a line to cacheHitsLog.txt in the working directory for each hit.
type analyzer struct {
	engine *eval.PolicyEngine
	names  map[netip.Addr]string
}

func loadAnalyzer(o *Objects) (Engine, error) {
	engine, err := eval.NewPolicyEngineWithOptionsList(eval.WithLogger(logger.NewDefaultLoggerWithVerbosity(logger.LowVerbosity)))
	if err != nil {
		return nil, err
	}
	a := &analyzer{engine, make(map[netip.Addr]string, len(o.Pods))}
	for _, object := range append(objects(o.Namespaces), objects(o.Policies)...) {
		if err := engine.InsertObject(object); err != nil {
			return nil, err
		}
	}
	for _, p := range o.Pods {
		ip, err := netip.ParseAddr(p.Status.PodIP)
		if err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
		}
		a.names[ip] = p.Namespace + "/" + p.Name
		if err := engine.InsertObject(p); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func objects[T runtime.Object](list []T) []runtime.Object {
	to := make([]runtime.Object, len(list))
	for i, o := range list {
		to[i] = o
	}
	return to
}

func (a *analyzer) Allowed(q Question) (bool, error) {
	return a.engine.CheckIfAllowed(a.peer(q.Src), a.peer(q.Dst), string(q.Protocol), strconv.Itoa(int(q.Port)))
}

func (a *analyzer) peer(ip netip.Addr) string {
	if name, ok := a.names[ip]; ok {
		return name
	}
	return ip.String()
}

func (a *analyzer) SetPod(p *corev1.Pod) error { return a.engine.InsertObject(p) }
