package cli_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// cartSlice has the endpoint of Service shop/cart, which a cluster finds by itself.
const cartSlice = `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.2], targetRef: {kind: Pod, name: cart-0, namespace: shop}}]
ports: [{name: http, port: 8080, protocol: TCP}]
`

// explained parses the JSON of an explanation.
func explained(t *testing.T, text string) *netpoldv1.ExplainResponse {
	t.Helper()
	response := new(netpoldv1.ExplainResponse)
	if err := protojson.Unmarshal([]byte(text), response); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return response
}

// numbered matches what A6 lets differ between two runs, in one document or in lines.
var numbered = regexp.MustCompile(`"?(revision|token)"?: ?"?[^",\n]*"?`)

// TestA6ExplainSameBytes: files, a server and a cluster explain in the same bytes, in every form, to the same
// exit code (A7). A cluster knows no files.
func TestA6ExplainSameBytes(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster+cartSlice)
	places := map[string]string{
		"server":  "--server=" + serve(t, "--manifests="+file).addr,
		"cluster": "--kubeconfig=" + startAPIServer(t, cluster+cartSlice).kubeconfig(t),
	}
	from := regexp.MustCompile(`"file": ?"[^"]*"|"document": ?\d+|(file|document): .*| \([^()]*cluster.yaml, document \d+\)`)
	for _, q := range questions() {
		for _, form := range [][]string{nil, {"-o=wide"}, {"-o=json"}, {"-o=yaml"}} {
			args := append(append([]string{"check", "-q", "--explain"}, q.args...), form...)
			files := netpold(t, append(args, "--manifests="+file)...)
			if files.code != q.code || files.stdout == "" || files.stderr != "" {
				t.Errorf("%v: exit code %d, want %d: %s%s", args, files.code, q.code, files.stdout, files.stderr)
			}
			for name, where := range places {
				got, want := netpold(t, append(args, where)...), files
				got.stdout, want.stdout = numbered.ReplaceAllString(got.stdout, ""), numbered.ReplaceAllString(want.stdout, "")
				if name == "cluster" {
					got.stdout, want.stdout = from.ReplaceAllString(got.stdout, ""), from.ReplaceAllString(want.stdout, "")
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
					t.Errorf("%v: -files +%s:\n%s", args, name, diff)
				}
			}
		}
	}
}

// TestExplainForms: the text has the verdict first, a wide one adds where each rule stands, and JSON is one
// document with the answer that check itself gives.
func TestExplainForms(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	args := []string{"check", "-q", "--manifests=" + file, "shop/other-0", "svc/shop/cart", "-p=80"}
	explain := append(args, "--explain")
	text := netpold(t, explain...)
	text.want(t, 1, "closest: rule 0 of shop/cart would match shop/other-0 with app=web\n", "")
	if !strings.HasPrefix(text.stdout, "denied shop/other-0 -> shop/cart-0 8080/TCP\n") {
		t.Errorf("the verdict is not first:\n%s", text.stdout)
	}
	wide := netpold(t, append(explain, "-o=wide")...)
	wide.want(t, 1, "("+file+", document 9)", "")
	doc := netpold(t, append(explain, "-o=json")...)
	got := explained(t, doc.stdout)
	answer := new(netpoldv1.AllowedResponse)
	if err := protojson.Unmarshal([]byte(netpold(t, append(args, "-o=json")...).stdout), answer); err != nil {
		t.Fatal(err)
	}
	answer.Token, got.Answer.Token = "", ""
	if diff := cmp.Diff(answer, got.GetAnswer(), protocmp.Transform()); diff != "" {
		t.Errorf("-check +explain:\n%s", diff)
	}
	if got.GetText() != text.stdout {
		t.Errorf("the text is\n%sand not\n%s", got.GetText(), text.stdout)
	}
}

// TestExplainFile: with -f each line is explained in order, as lines of JSON or as blocks of text, and an error
// stands in the place of its line.
func TestExplainFile(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	const unknown = `{"src":{"pod":{"namespace":"shop","name":"nobody"}},"dst":{"ip":"10.0.0.2"},"port":80}`
	in := strings.Join([]string{allowedQuestion, "", "not JSON", deniedQuestion, unknown}, "\n")
	for name, where := range map[string]string{
		"manifests": "--manifests=" + file, "server": "--server=" + serve(t, "--manifests="+file).addr,
	} {
		t.Run(name, func(t *testing.T) {
			const failed = "netpold: 2 of 4 lines were not answered; the first is line 3: not a question: "
			lines := netpoldWith(t, nil, in, "check", where, "-q", "--explain", "-f=-", "-o=json")
			lines.want(t, 2, "\n", failed)
			got := strings.Split(strings.TrimSuffix(lines.stdout, "\n"), "\n")
			if len(got) != 4 {
				t.Fatalf("there are %d lines:\n%s", len(got), lines.stdout)
			}
			first, third := explained(t, got[0]), explained(t, got[2])
			if !first.GetAnswer().GetAllowed() || third.GetAnswer().GetAllowed() || len(third.GetClosest()) == 0 {
				t.Errorf("the answers are\n%s\n%s", got[0], got[2])
			}
			if !strings.HasPrefix(got[1], `{"error":{"code":3,"message":"not a question: `) ||
				!strings.HasPrefix(got[3], `{"error":{"code":5,"message":"src: Pod \"shop/nobody\" is not known`) ||
				!strings.Contains(got[3], `"field":"src.pod"`) {
				t.Errorf("the errors are\n%s\n%s", got[1], got[3])
			}
			blocks := netpoldWith(t, nil, in, "check", where, "-q", "--explain", "-f=-")
			blocks.want(t, 2, first.GetText()+"\nERROR line 3: not a question: ", failed)
			blocks.want(t, 2, "\n\n"+third.GetText()+"\nERROR line 5: src: Pod \"shop/nobody\" is not known", failed)

			echo := netpoldWith(t, nil, allowedQuestion, "check", where, "-q", "--explain", "-f=-", "-o=json", "--echo")
			echo.want(t, 0, `{"question":`+allowedQuestion+`,"answer":{"answer":{"allowed":true,`, "")
			if !json.Valid([]byte(echo.stdout)) {
				t.Errorf("it is no JSON: %s", echo.stdout)
			}
		})
	}
}

// TestExplainErrors: what has no answer has no explanation, and the error of check.
func TestExplainErrors(t *testing.T) {
	file := writeFile(t, "cluster.yaml", cluster)
	server := serve(t, "--manifests="+file)
	for name, args := range map[string][]string{
		"S27 unknown Pod":         {"shop/nobody", "shop/cart-0", "-p=1"},
		"S6 finished Pod":         {"shop/web-0", "shop/done-0", "-p=1"},
		"S24 no such port":        {"shop/web-0", "svc/shop/cart", "-p=81"},
		"S28 Service as a source": {"svc/shop/cart", "shop/web-0", "-p=1"},
		"token of another source": {"shop/web-0", "shop/cart-0", "-p=1", "--at-least=x"},
	} {
		for _, where := range []string{"--manifests=" + file, "--server=" + server.addr} {
			for _, form := range []string{"text", "json"} {
				ask := append([]string{"check", where, "-o", form}, args...)
				plain, why := netpold(t, ask...), netpold(t, append(ask, "--explain")...)
				why.want(t, 2, why.stdout, "netpold: ")
				if diff := cmp.Diff(plain, why, cmp.AllowUnexported(result{})); diff != "" {
					t.Errorf("%s: -check +explain:\n%s", name, diff)
				}
			}
		}
	}
}

func TestExplainCalledWrongly(t *testing.T) {
	for want, args := range map[string][]string{
		"-o wide goes with --explain: give it too, or text":          {"a/b", "c/d", "-p=1", "-o=wide"},
		"-o wide does not go with -f: its answers are lines of JSON": {"-f=-", "-o=wide"},
		"-o yaml does not go with -f: give json":                     {"-f=-", "-o=yaml", "--explain"},
		"--echo goes with -o json: ":                                 {"-f=-", "--echo", "--explain"},
		"the port is missing: give -p PORT":                          {"a/b", "c/d", "--explain"},
	} {
		netpold(t, append([]string{"check", "--manifests=/nowhere"}, args...)...).want(t, 2, "", want)
	}
}
