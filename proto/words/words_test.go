package words_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
	"github.com/netpold/netpold/proto/words"
)

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	workload := func(kind string) *netpoldv1.Endpoint { return words.Workload("shop", kind, "x") }
	for text, want := range map[string]*netpoldv1.Endpoint{
		"shop/frontend-0":      words.Pod("shop", "frontend-0"),
		"pod/shop/frontend-0":  words.Pod("shop", "frontend-0"),
		"pods/shop/frontend-0": words.Pod("shop", "frontend-0"),
		"po/shop/frontend-0":   words.Pod("shop", "frontend-0"),
		"deploy/frontend":      words.Pod("deploy", "frontend"),
		"svc/svc":              words.Pod("svc", "svc"),
		"deploy/shop/x":        workload("Deployment"),
		"deployment/shop/x":    workload("Deployment"),
		"Deployments/shop/x":   workload("Deployment"),
		"sts/shop/x":           workload("StatefulSet"),
		"StatefulSet/shop/x":   workload("StatefulSet"),
		"ds/shop/x":            workload("DaemonSet"),
		"daemonsets/shop/x":    workload("DaemonSet"),
		"RS/shop/x":            workload("ReplicaSet"),
		"replicaset/shop/x":    workload("ReplicaSet"),
		"job/shop/x":           workload("Job"),
		"jobs/shop/x":          workload("Job"),
		"cj/shop/x":            workload("CronJob"),
		"rc/shop/x":            workload("ReplicationController"),
		"cronjob/shop/x":       workload("CronJob"),
		"svc/shop/cart":        words.Service("shop", "cart"),
		"services/shop/cart":   words.Service("shop", "cart"),
		"10.0.3.7":             words.IP("10.0.3.7"),
		"2001:DB8::7":          words.IP("2001:db8::7"),
		"[2001:db8::7]":        words.IP("2001:db8::7"),
		"::ffff:10.0.3.7":      words.IP("10.0.3.7"),
		"shop?":                words.Labels("shop", nil),
		"shop?app=web,tier=front": words.Labels("shop",
			map[string]string{"app": "web", "tier": "front"}),
		"shop?example.com/a=,b=C.d": words.Labels("shop",
			map[string]string{"example.com/a": "", "b": "C.d"}),
		"shop?app=cart#grpc=7070,ip=10.0.0.9": labelled(map[string]string{"app": "cart"}, "10.0.0.9",
			tcp("grpc", 7070)),
		"shop?#ip=[2001:DB8::9],dns=53/udp,dns=53/TCP,dns=5353": labelled(nil, "2001:db8::9",
			port("dns", 53, netpoldv1.Protocol_PROTOCOL_UDP), tcp("dns", 53), tcp("dns", 5353)),
		"shop?#ip=8080,ip=::ffff:10.0.0.9": labelled(nil, "10.0.0.9", tcp("ip", 8080)),
	} {
		got, err := words.ParseEndpoint(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	}
}

func labelled(labels map[string]string, ip string, ports ...*netpoldv1.NamedPort) *netpoldv1.Endpoint {
	endpoint := words.Labels("shop", labels)
	endpoint.GetLabels().Ip, endpoint.GetLabels().NamedPorts = ip, ports
	return endpoint
}

func tcp(name string, number uint32) *netpoldv1.NamedPort {
	return port(name, number, netpoldv1.Protocol_PROTOCOL_TCP)
}

func port(name string, number uint32, protocol netpoldv1.Protocol) *netpoldv1.NamedPort {
	return &netpoldv1.NamedPort{Name: name, Port: number, Protocol: protocol}
}

func TestParseEndpointErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	for text, want := range map[string]string{
		"":               "a name is missing",
		"frontend":       "neither an address nor a name with its namespace",
		"10.0.3.700":     "neither an address nor a name with its namespace",
		"shop/":          "a name is missing",
		"/x":             "a name is missing",
		"deploy//x":      "a name is missing",
		"node/shop/x":    `"node" is no kind of endpoint`,
		"a/b/c/d":        "too many names",
		"10.0.0.0/8":     "a range is not an endpoint: give one address of it",
		"2001:db8::/32":  "a range is not an endpoint: give one address of it",
		"10.0.3.7:80":    "the port does not belong to the address: give it apart",
		"[::1]:80":       "the port does not belong to the address: give it apart",
		"fe80::1%eth0":   "a zone means nothing to a cluster: give the address without it",
		"?app=web":       "before the ? belongs the name of a namespace",
		"a/b?app=web":    "before the ? belongs the name of a namespace",
		"shop?app":       `label "app" is not KEY=VALUE`,
		"shop?=web":      `label "=web" is not KEY=VALUE`,
		"shop?a=b,":      `label "" is not KEY=VALUE`,
		"shop?a=b=c":     `label "a=b=c" is not KEY=VALUE`,
		"shop?a=b,a=c":   `label "a" is given twice`,
		"Shop?":          `"Shop" is not the name of a namespace; it has a-z, 0-9 and "-", and begins and ends with a letter or digit`,
		"shop.x?app=web": `"shop.x" is not the name of a namespace; it has a-z, 0-9 and "-", and begins and ends with a letter or digit`,
		"shop?a=b,c/=d":  `label "c/=d": "c/" is not the key of a label; it has letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`,
		"shop?X.y/a=b":   `label "X.y/a=b": "X.y/a" is not the key of a label; before its "/" belongs a DNS name of at most 253 bytes, such as example.com`,
		"shop?a=c?":      `label "a=c?": "c?" is not the value of a label; it has letters, digits, "-", "_" and ".", and begins and ends with a letter or digit`,
		"shop?a=" + long: `label "a=` + long + `": "` + long +
			`" is 64 bytes long; a label's value has at most 63`,
		"shop?a=b#":                `"" after the # is neither NAME=PORT (http=8080 or dns=53/UDP) nor ip=ADDRESS`,
		"shop?#http":               `"http" after the # is neither NAME=PORT (http=8080 or dns=53/UDP) nor ip=ADDRESS`,
		"shop?#http=1,":            `"" after the # is neither NAME=PORT (http=8080 or dns=53/UDP) nor ip=ADDRESS`,
		"shop?#=80":                `port "=80": "" is required: the port's name, for example "http"`,
		"shop?#HTTP=80":            `port "HTTP=80": "HTTP" is not the name of a port; it has a-z, 0-9 and single "-" between them, and at least one letter`,
		"shop?#http=0":             `port "http=0": "0" is not a port: give 1 to 65535`,
		"shop?#http=65536":         `port "http=65536": "65536" is not a port: give 1 to 65535`,
		"shop?#http=80/":           `port "http=80/": "" is not a protocol: write TCP, UDP or SCTP`,
		"shop?#a=80/icmp":          `port "a=80/icmp": "icmp" is not a protocol: write TCP, UDP or SCTP`,
		"shop?#ip=10.0.0":          `"ip=10.0.0": "10.0.0" is neither an address nor a port: give an IPv4 or IPv6 address, or 1 to 65535`,
		"shop?#ip=::1%a":           "a zone means nothing to a cluster: give the address without it",
		"shop?#ip=::1,ip=10.0.0.1": `"10.0.0.1" is a second address beside "::1": give one`,
		"shop?a#b=c":               `label "a" is not KEY=VALUE`,
		"shop/a b":                 "spaces and control characters have no place in it",
		"shop/a\n":                 "spaces and control characters have no place in it",
		"shop/\xff":                "spaces and control characters have no place in it",
		"shop?app=web, b=":         "spaces and control characters have no place in it",
	} {
		got, err := words.ParseEndpoint(text)
		if err == nil {
			t.Errorf("%q: %v", text, got)
			continue
		}
		if !strings.Contains(err.Error(), ": "+want+"; write shop/frontend-0 (a Pod), deploy/shop/frontend") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFormatEndpoint(t *testing.T) {
	t.Parallel()
	for want, endpoint := range map[string]*netpoldv1.Endpoint{
		"":                  nil,
		"shop/frontend-0":   words.Pod("shop", "frontend-0"),
		"10.0.3.7":          words.IP("10.0.3.7"),
		"deploy/shop/x":     words.Workload("shop", "Deployment", "x"),
		"sts/shop/x":        words.Workload("shop", "StatefulSet", "x"),
		"ds/shop/x":         words.Workload("shop", "DaemonSet", "x"),
		"rs/shop/x":         words.Workload("shop", "ReplicaSet", "x"),
		"job/shop/x":        words.Workload("shop", "Job", "x"),
		"cj/shop/x":         words.Workload("shop", "CronJob", "x"),
		"rc/shop/x":         words.Workload("shop", "ReplicationController", "x"),
		"svc/shop/cart":     words.Service("shop", "cart"),
		"shop?":             words.Labels("shop", nil),
		"shop?a=1,a-b=2,z=": words.Labels("shop", map[string]string{"z": "", "a-b": "2", "a": "1"}),
		"shop?a=1#dns=53/UDP,http=80,ip=10.0.0.9": labelled(map[string]string{"a": "1"}, "10.0.0.9",
			port("dns", 53, netpoldv1.Protocol_PROTOCOL_UDP),
			port("http", 80, netpoldv1.Protocol_PROTOCOL_UNSPECIFIED)),
	} {
		if got := words.FormatEndpoint(endpoint); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestParseProtocol(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]netpoldv1.Protocol{
		"": netpoldv1.Protocol_PROTOCOL_TCP, "tcp": netpoldv1.Protocol_PROTOCOL_TCP,
		"Udp":  netpoldv1.Protocol_PROTOCOL_UDP,
		"SCTP": netpoldv1.Protocol_PROTOCOL_SCTP, "PROTOCOL_UDP": netpoldv1.Protocol_PROTOCOL_UDP,
	} {
		if got, err := words.ParseProtocol(word); err != nil || got != want {
			t.Errorf("%q: %v, %v", word, got, err)
		}
	}
	for _, word := range []string{"icmp", "PROTOCOL_", "6", " tcp"} {
		if got, err := words.ParseProtocol(word); err == nil {
			t.Errorf("%q: %v", word, got)
		}
	}
}

// FuzzParseEndpoint proves that what can be parsed can be formatted, parses as the same again, and can be
// sent.
func FuzzParseEndpoint(f *testing.F) {
	for _, text := range []string{
		"shop/frontend-0", "deploy/shop/frontend", "svc/shop/cart", "10.0.3.7", "[2001:db8::7]",
		"shop?app=web,tier=front", "shop?", "a/b/c/d",
		"fe80::1%eth0", "10.0.0.0/8", "\xff/\u2028", "shop?a=b?c",
		"shop?app=cart#grpc=7070,ip=10.0.0.9", "shop?#dns=53/udp,ip=8080,ip=[::1]", "shop?a=b#c#d=1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		endpoint, err := words.ParseEndpoint(text)
		if err != nil {
			return
		}
		if _, err := proto.Marshal(endpoint); err != nil {
			t.Fatalf("%q is %v, which cannot be sent: %v", text, endpoint, err)
		}
		formatted := words.FormatEndpoint(endpoint)
		again, err := words.ParseEndpoint(formatted)
		if err != nil {
			t.Fatalf("%q is written %q: %v", text, formatted, err)
		}
		if !proto.Equal(endpoint, again) {
			t.Fatalf("%q is %v, but written %q it is %v", text, endpoint, formatted, again)
		}
		if twice := words.FormatEndpoint(again); twice != formatted {
			t.Fatalf("%q is written %q and then %q", text, formatted, twice)
		}
	})
}
