package assertion

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestParseLines(t *testing.T) {
	const text = `
# The shop.
deploy/shop/frontend -> svc/shop/cart 7070/TCP = allowed
  deploy/shop/frontend -> shop/redis-0 6379,6380 = denied by shop/default-deny # not for it
any -> deploy/shop/cart 80, 443/TCP,53/UDP = denied
'shop' # wrong
`
	list, wrong := Parse([]byte(text))
	if list != nil || len(wrong) != 1 || wrong[0].Line != 6 {
		t.Fatalf("got %v, %v", list, wrong)
	}
	mended := strings.Replace(text, "'shop' # wrong",
		"shop?app=x,b=#http=80,ip=10.0.0.9 -> 2001:db8::1 53/udp,53/TCP = allowed", 1)
	list, wrong = Parse([]byte(mended))
	if wrong != nil {
		t.Fatal(wrong)
	}
	var got []string
	var lines []int
	for _, a := range list {
		got, lines = append(got, a.String()), append(lines, a.Line)
	}
	want := []string{
		"deploy/shop/frontend -> svc/shop/cart 7070/TCP = allowed",
		"deploy/shop/frontend -> shop/redis-0 6379/TCP,6380/TCP = denied by shop/default-deny",
		"any -> deploy/shop/cart 80/TCP,443/TCP,53/UDP = denied",
		"shop?app=x,b=#http=80,ip=10.0.0.9 -> 2001:db8::1 53/UDP,53/TCP = allowed",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if !slices.Equal(lines, []int{3, 4, 5, 6}) {
		t.Errorf("lines %v", lines)
	}
}

// Each is refused in its line, with words that say what to write.
func TestParseRefuses(t *testing.T) {
	const (
		a    = "shop/a -> shop/b "
		yaml = "assertions:\n- {src: a/b, dst: c/d, ports: "
	)
	tests := map[string]string{
		"":                                   "has no assertion",
		"# nothing":                          "has no assertion",
		"shop/a shop/b 80 = denied":          "line 1: \"shop/a shop/b 80 = denied\": no -> after the source",
		"any->shop/b 80 = denied":            `no spaces around the -> after the source: write "any -> shop/b 80 = denied"`,
		"a/b ->c/d 80 = denied":              `write "a/b -> c/d 80 = denied"`,
		"\n---\napiVersion: v1\nkind: Pod\n": "line 3: holds objects of Kubernetes and no assertions: give it with --manifests",
		`{"kind": "List", "items": []}`:      "line 1: holds objects of Kubernetes",
		"replicas: 3\nimage:\n  tag: x\n":    "has no assertion: none of its lines has a ->: write SRC -> DST",
		a + "80 allowed":                     "no = with spaces",
		"shop/a -> = allowed":                "the destination is missing",
		a + "= allowed":                      "the port is missing",
		a + "0 = allowed":                    `port "0": write a number from 1 to 65535`,
		a + "65536 = allowed":                `port "65536"`,
		a + "+80 = allowed":                  `port "+80"`,
		a + "80, = allowed":                  `port "": write a number`,
		a + "http = allowed":                 `port "http"`,
		a + "80/ICMP = allowed":              `port "80/ICMP": write TCP, UDP or SCTP`,
		a + "80/ = allowed":                  `port "80/"`,
		a + "80,443/UDP = allowed":           "443/UDP has a protocol and 80 has none: give each its own, as 80/TCP",
		a + "80 = maybe":                     `"maybe" is no claim`,
		a + "80 = allowed by x/y":            "is no claim",
		a + "80 =":                           `"" is no claim`,
		a + "80 = denied by deny":            `policy "deny": write its namespace and name`,
		a + "80 = denied by Shop/x":          `"Shop" is no namespace and none of the kinds ClusterNetworkPolicy, AdminNetworkPolicy`,
		a + "80 = denied by clusternetworkpolicy/x": `none of the kinds ClusterNetworkPolicy, AdminNetworkPolicy, ` +
			`BaselineAdminNetworkPolicy: did you mean ClusterNetworkPolicy/x?`,
		a + "80 = denied by baselineAdminNetworkPolicies/x":    "did you mean BaselineAdminNetworkPolicy/x?",
		a + "80 = denied by AdminNetworkPolcy/x":               "did you mean AdminNetworkPolicy/x?",
		yaml + "80, allowed: false, by: adminnetworkpolicy/x}": "did you mean AdminNetworkPolicy/x?",
		"any -> any 80 = denied":                               "any -> any asks nothing",
		"shop -> shop/b 80 = denied":                           `endpoint "shop": neither an address nor a name`,
		a + "53/UDP,80 = allowed":                              "53/UDP has a protocol and 80 has none",
		a + "80,443/TCP,81,53/UDP = allowed":                   "53/UDP has a protocol and 81 has none",
		"\xff":                                                 "is not text in UTF-8",
		"assertions:":                                          "line 1: assertions: must be a list",
		"assertions: [":                                        "is not YAML: near line ",
		"assertions:\n- {src: a/b\n  dst: [\n":                 "did not find expected",
		"assertions: [x]":                                      "must be a mapping with the keys src, dst, ports, allowed, by",
		"assertions: [{src: a/b}]":                             "line 1: dst is missing",
		"assertions: []":                                       "has no assertion",
		"assertions: []\nmore: 1":                              `line 2: unknown key "more"`,
		"---\n- x":                                             "line 2: must be a mapping with the keys assertions",
		"assertions: []\n---\nx: y":                            "a second document",
		yaml + "[80], allowed: yes!}":                          `allowed: "yes!": write true or false`,
		yaml + "[], allowed: true}":                            "ports: has none",
		yaml + "80, allowed: true, by: a/b}":                   "by: goes with allowed: false alone",
		yaml + "80, allowed: false, by: b}":                    `by: policy "b"`,
		"assertions:\n- {src: a/b, src: c/d, dst: c/d, ports: 80, allowed: false}": `key "src" is given twice`,
		yaml + "80, allowed: false, because: reason}":                              `unknown key "because"`,
	}
	for text, want := range tests {
		list, wrong := Parse([]byte(text))
		if list != nil || len(wrong) == 0 {
			t.Errorf("%q: got %v, %v", text, list, wrong)
			continue
		}
		if !strings.Contains(wrong[0].Error(), want) || strings.Contains(wrong[0].Error(), "\n") {
			t.Errorf("%q: got %q, want %q", text, wrong[0], want)
		}
	}
}

func TestParseYAML(t *testing.T) {
	list, wrong := Parse([]byte(`
# for machines
assertions:
- {src: deploy/shop/frontend, dst: svc/shop/cart, ports: [7070/TCP, 53/UDP], allowed: true}
- src: any
  dst: deploy/shop/redis
  ports: 6379
  allowed: false
  by: shop/default-deny
`))
	if wrong != nil {
		t.Fatal(wrong)
	}
	same, wrong := Parse([]byte("\n\n\ndeploy/shop/frontend -> svc/shop/cart 7070/TCP,53/UDP = allowed\n" +
		"any -> deploy/shop/redis 6379 = denied by shop/default-deny\n"))
	if wrong != nil {
		t.Fatal(wrong)
	}
	if d := cmp.Diff(same, list, protocmp.Transform()); d != "" {
		t.Errorf("-lines +YAML:\n%s", d)
	}
}

// Whatever is read is read the same again from what it is written as.
func FuzzParse(f *testing.F) {
	f.Add([]byte("shop/a -> shop/b 80,53/UDP = denied by shop/x # so\n"))
	f.Add([]byte("assertions:\n- {src: any, dst: a/b, ports: [1], allowed: false}\n"))
	if text, err := os.ReadFile("../../examples/shop-assertions.txt"); err == nil {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, wrong := Parse(text)
		if (len(list) == 0) == (len(wrong) == 0) {
			t.Fatalf("%d assertions and %d errors", len(list), len(wrong))
		}
		for _, a := range list {
			again, wrong := Parse([]byte(a.String()))
			if len(wrong) > 0 || len(again) != 1 {
				t.Fatalf("%q is not read again: %v", a.String(), wrong)
			}
			again[0].Line = a.Line
			if d := cmp.Diff(a, again[0], protocmp.Transform()); d != "" {
				t.Fatalf("%q -first +second:\n%s", a.String(), d)
			}
		}
	})
}
