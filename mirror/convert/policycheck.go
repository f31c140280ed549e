package convert

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
)

func checkMetadata(m *metav1.ObjectMeta) field.ErrorList {
	path := field.NewPath("metadata")
	errs := apivalidation.ValidateObjectMeta(m, true, apivalidation.NameIsDNSSubdomain, path)
	for i, name := range m.Finalizers {
		standard := name == string(corev1.FinalizerKubernetes) || name == metav1.FinalizerOrphanDependents ||
			name == metav1.FinalizerDeleteDependents
		if !strings.Contains(name, "/") && !standard {
			errs = append(errs, field.Invalid(path.Child("finalizers").Index(i), name,
				"name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

// checkPort returns what the API server rejects in p. It checks the numbers as written, before they are
// narrowed.
func checkPort(p *networkingv1.NetworkPolicyPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.Protocol != nil {
		if _, ok := protocolOf(*p.Protocol); !ok || *p.Protocol == "" {
			errs = append(errs, field.NotSupported(path.Child("protocol"), *p.Protocol,
				[]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}))
		}
	}
	reject := func(child string, value any, messages ...string) {
		for _, m := range messages {
			errs = append(errs, field.Invalid(path.Child(child), value, m))
		}
	}
	switch {
	case p.Port == nil:
		if p.EndPort != nil {
			reject("endPort", *p.EndPort, "may not be specified when `port` is not specified")
		}
	case p.Port.Type == intstr.Int:
		reject("port", p.Port.IntVal, validation.IsValidPortNum(int(p.Port.IntVal))...)
		if p.EndPort != nil {
			if *p.EndPort < p.Port.IntVal {
				reject("endPort", *p.EndPort, "must be greater than or equal to `port`")
			}
			reject("endPort", *p.EndPort, validation.IsValidPortNum(int(*p.EndPort))...)
		}
	default:
		if p.EndPort != nil {
			reject("endPort", *p.EndPort, "may not be specified when `port` is non-numeric")
		}
		reject("port", p.Port.StrVal, validation.IsValidPortName(p.Port.StrVal)...)
	}
	return errs
}

// policyPort converts a port that [checkPort] accepts (S20).
func policyPort(p *networkingv1.NetworkPolicyPort) engine.Port {
	var to engine.Port
	if p.Protocol != nil {
		to.Protocol, _ = protocolOf(*p.Protocol)
	}
	switch {
	case p.Port == nil:
		to.First, to.Last = 1, 65535
	case p.Port.Type != intstr.Int:
		to.Name = intern(p.Port.StrVal)
	default:
		to.First = uint16(p.Port.IntVal)
		to.Last = to.First
		if p.EndPort != nil {
			to.Last = uint16(*p.EndPort)
		}
	}
	return to
}

func checkPolicyTypes(types []networkingv1.PolicyType, path *field.Path) field.ErrorList {
	known := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	if len(types) > len(known) {
		return field.ErrorList{field.Invalid(path, types, "may not specify more than two policyTypes")}
	}
	var errs field.ErrorList
	for i, t := range types {
		if t != networkingv1.PolicyTypeIngress && t != networkingv1.PolicyTypeEgress {
			errs = append(errs, field.NotSupported(path.Index(i), t, known))
		}
	}
	return errs
}
