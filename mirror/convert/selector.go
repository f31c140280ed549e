package convert

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netpold/netpold/engine"
)

func checkSelector(s *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, path)
}

// selector converts a selector that [checkSelector] accepts (S17). It sorts the requirements, so that equal
// selectors are equal values.
func selector(s *metav1.LabelSelector) engine.Selector {
	requirements := make(engine.Selector, 0, len(s.MatchLabels)+len(s.MatchExpressions))
	for k, v := range s.MatchLabels {
		requirements = append(requirements, engine.Requirement{Key: intern(k), Operator: engine.In,
			Values: []string{intern(v)}})
	}
	for _, e := range s.MatchExpressions {
		r := engine.Requirement{Key: intern(e.Key), Operator: operator(e.Operator)}
		for _, v := range e.Values {
			r.Values = append(r.Values, intern(v))
		}
		slices.Sort(r.Values)
		r.Values = slices.Compact(r.Values)
		requirements = append(requirements, r)
	}
	slices.SortFunc(requirements, func(a, b engine.Requirement) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator),
			slices.Compare(a.Values, b.Values))
	})
	return requirements
}

func operator(o metav1.LabelSelectorOperator) engine.Operator {
	switch o {
	case metav1.LabelSelectorOpIn:
		return engine.In
	case metav1.LabelSelectorOpNotIn:
		return engine.NotIn
	case metav1.LabelSelectorOpExists:
		return engine.Exists
	case metav1.LabelSelectorOpDoesNotExist:
		return engine.DoesNotExist
	}
	return engine.DoesNotExist + 1 // no operator of the engine: it matches nothing (S23)
}
