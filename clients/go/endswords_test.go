package netpold_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	netpold "github.com/netpold/netpold/clients/go"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

func TestParseEnds(t *testing.T) {
	t.Parallel()
	endpoints := func(list ...*netpoldv1.Endpoint) *netpoldv1.Ends { return &netpoldv1.Ends{Endpoints: list} }
	for words, want := range map[string]*netpoldv1.Ends{
		"":                         nil,
		"shop/web-0":               endpoints(netpold.Pod("shop", "web-0")),
		"deploy/shop/web 10.0.0.9": endpoints(netpold.Workload("shop", "Deployment", "web"), netpold.IP("10.0.0.9")),
		"svc/shop/cart":            endpoints(netpold.Service("shop", "cart")),
		"shop?app=web":             endpoints(netpold.Labels("shop", map[string]string{"app": "web"})),
		"pods/shop/web-0":          endpoints(netpold.Pod("shop", "web-0")),
		"pod/ns/web-0":             endpoints(netpold.Pod("ns", "web-0")),
		"pods/web-0":               endpoints(netpold.Pod("pods", "web-0")),
		"external":                 {Scope: netpoldv1.Scope_SCOPE_EXTERNAL},
		"cluster":                  {Scope: netpoldv1.Scope_SCOPE_CLUSTER},
		"ns/shop ns/dev ns/shop":   {Namespaces: []string{"shop", "dev"}},
		"ns/ns":                    {Namespaces: []string{"ns"}},
		"pods/*?!old":              {PodSelector: "!old"},
		"pods/shop?app=web":        {PodSelector: "app=web", NamespaceSelector: "kubernetes.io/metadata.name=shop"},
		"pods/a?x pods/b?x pods/a?x": {PodSelector: "x",
			NamespaceSelector: "kubernetes.io/metadata.name in (a,b)"},
		"pods/a?x pods/*?x": {PodSelector: "x"},
		"ns/a pods/b?x shop/web-0": {
			Namespaces: []string{"a"}, PodSelector: "x", NamespaceSelector: "kubernetes.io/metadata.name=b",
			Endpoints: []*netpoldv1.Endpoint{netpold.Pod("shop", "web-0")},
		},
	} {
		got, err := netpold.ParseEnds(strings.Fields(words)...)
		if err != nil {
			t.Errorf("%q: %v", words, err)
		} else if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%q: -want +got:\n%s", words, diff)
		}
	}
	spaced, err := netpold.ParseEnds("pods/shop?app in (web, api)")
	if err != nil || spaced.GetPodSelector() != "app in (web, api)" {
		t.Errorf("a selector with spaces is parsed to %v (%v)", spaced, err)
	}
}

func TestParseEndsErrors(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		"frontend":            `endpoint "frontend": neither an address nor a name`,
		"10.0.0.0/8":          "a range is not an endpoint",
		"ns/":                 `"ns/": the name of a namespace is missing after ns/`,
		"ns/Shop":             `"Shop" is not the name of a namespace`,
		"ns/shop?app=web":     "before the ? belongs the name of a namespace",
		"pods/Shop?app=web":   `"Shop" is not the name of a namespace`,
		"pods/?app=web":       "missing after pods/; write pods/*? for every namespace",
		"pods/shop?":          "a selector is missing after the ?; write ns/shop",
		"pods/*?":             "a selector is missing after the ?; write cluster",
		"pods/shop?app=(":     `there is "(" where the value of "app" belongs`,
		"pods/a?x pods/b?y":   `"pods/b?y" has another selector than "pods/a?x"`,
		"external shop/web-0": `"external" stands alone`,
		"cluster external":    `"cluster" stands alone`,
		"x y":                 `endpoint "y"`,
		"pods/a?\xff":         "it is not UTF-8",
	} {
		got, err := netpold.ParseEnds(strings.Fields(words)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, %v\nwant in the error\n%s", words, got, err, want)
		}
	}
}
