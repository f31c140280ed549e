package mirror

import "testing"

func TestProblemIsOneLine(t *testing.T) {
	tests := map[string]struct {
		p    Problem
		want string
	}{
		"everything": {
			Problem{"a.yaml", 2, "NetworkPolicy", "shop", "web", "spec.podSelector", "is\nwrong", false, false},
			`a.yaml, document 2: NetworkPolicy "shop/web": spec.podSelector: is wrong`,
		},
		"warning of a cluster-wide object": {
			Problem{Kind: "Node", Name: "n1", Field: "status", Message: "odd", Warning: true},
			`warning: Node "n1": status: odd`,
		},
		"file alone": {Problem{File: "a.yaml", Message: "unreadable"}, `a.yaml: unreadable`},
		"no name": {Problem{File: "a.yaml", Document: 1, Kind: "Pod", Message: "no name"},
			`a.yaml, document 1: Pod: no name`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.p.String(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
