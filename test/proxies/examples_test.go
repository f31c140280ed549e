package proxies

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	networkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/session/ext_authz/v3"
	udpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// read returns the YAML documents of a file of deploy/examples as JSON.
func read(t *testing.T, file string) (documents [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		asJSON, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		documents = append(documents, asJSON)
	}
	return documents
}

// unpack returns the message in a typed_config.
func unpack[M proto.Message](t *testing.T, packed *anypb.Any, into M) M {
	t.Helper()
	if err := packed.UnmarshalTo(into); err != nil {
		t.Fatal(err)
	}
	return into
}

// TestEnvoyExamples reads the examples as Envoy's types, and proves that they fail closed and soon.
func TestEnvoyExamples(t *testing.T) {
	for _, file := range []string{"http.yaml", "network.yaml", "udp.yaml"} {
		var b bootstrapv3.Bootstrap
		if err := protojson.Unmarshal(read(t, "envoy/"+file)[0], &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := b.ValidateAll(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		l := b.GetStaticResources().GetListeners()[0]
		var timeout float64
		var open bool
		switch file {
		case "http.yaml":
			hcm := unpack(t, l.GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), new(hcmv3.HttpConnectionManager))
			c := unpack(t, hcm.GetHttpFilters()[0].GetTypedConfig(), new(httpv3.ExtAuthz))
			timeout, open = c.GetGrpcService().GetTimeout().AsDuration().Seconds(), c.GetFailureModeAllow()
			if err := c.ValidateAll(); err != nil || c.GetIncludePeerCertificate() || c.GetStatusOnError().GetCode() != 503 ||
				len(c.GetAllowedHeaders().GetPatterns()) == 0 || c.GetWithRequestBody() != nil {
				t.Errorf("%s: %v, %v", file, c, err)
			}
		case "network.yaml":
			c := unpack(t, l.GetFilterChains()[0].GetFilters()[0].GetTypedConfig(), new(networkv3.ExtAuthz))
			timeout, open = c.GetGrpcService().GetTimeout().AsDuration().Seconds(), c.GetFailureModeAllow()
			if err := c.ValidateAll(); err != nil || c.GetIncludePeerCertificate() {
				t.Errorf("%s: %v, %v", file, c, err)
			}
		case "udp.yaml":
			p := unpack(t, l.GetListenerFilters()[0].GetTypedConfig(), new(udpproxyv3.UdpProxyConfig))
			c := unpack(t, p.GetSessionFilters()[0].GetTypedConfig(), new(udpv3.FilterConfig))
			timeout, open = c.GetGrpcService().GetTimeout().AsDuration().Seconds(), c.GetFailureModeAllow()
			if err := c.ValidateAll(); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		if timeout != 0.2 || open {
			t.Errorf("%s: a timeout of %v s, and failure_mode_allow %v", file, timeout, open)
		}
		cluster := b.GetStaticResources().GetClusters()[1]
		if cluster.GetName() != "netpold" || cluster.GetType().String() != "STRICT_DNS" || cluster.GetLbPolicy().String() != "ROUND_ROBIN" {
			t.Errorf("%s: %v", file, cluster)
		}
	}
}

// TestMeshExamples reads Istio's and Envoy Gateway's examples, whose types are not here, by the names of their fields.
// The names are those of istio.mesh.v1alpha1 ExtensionProvider, security.istio.io/v1 and gateway.envoyproxy.io/v1alpha1.
func TestMeshExamples(t *testing.T) {
	strict := func(document []byte, into any) {
		t.Helper()
		d := json.NewDecoder(bytes.NewReader(document))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			t.Errorf("%v: %s", err, document)
		}
	}
	type meta struct{ Name, Namespace string }
	var mesh struct {
		ExtensionProviders []struct {
			Name              string
			EnvoyExtAuthzGrpc struct {
				Service       string
				Port          int
				Timeout       string
				FailOpen      bool
				StatusOnError string
			}
		}
	}
	strict(read(t, "istio/extension-provider.yaml")[0], &mesh)
	var policy struct {
		APIVersion, Kind string
		Metadata         meta
		Spec             struct {
			Selector struct{ MatchLabels map[string]string }
			Action   string
			Provider struct{ Name string }
			Rules    []struct {
				To []struct{ Operation struct{ NotPaths []string } }
			}
		}
	}
	strict(read(t, "istio/authorization-policy.yaml")[0], &policy)
	if p := mesh.ExtensionProviders[0]; p.EnvoyExtAuthzGrpc.FailOpen || p.EnvoyExtAuthzGrpc.Timeout != "0.2s" ||
		p.EnvoyExtAuthzGrpc.StatusOnError != "503" || p.EnvoyExtAuthzGrpc.Port != 9480 ||
		policy.Spec.Provider.Name != p.Name || policy.Spec.Action != "CUSTOM" || policy.APIVersion != "security.istio.io/v1" {
		t.Errorf("%+v, %+v", mesh, policy)
	}
	type backend struct {
		Name, Namespace string
		Port            int
	}
	var security struct {
		APIVersion, Kind string
		Metadata         meta
		Spec             struct {
			TargetRefs []struct{ Group, Kind, Name string }
			ExtAuth    struct {
				FailOpen         bool
				Timeout          string
				HeadersToExtAuth []string
				GRPC             struct{ BackendRefs []backend }
			}
		}
	}
	documents := read(t, "envoy-gateway/security-policy.yaml")
	strict(documents[0], &security)
	var grant struct {
		APIVersion, Kind string
		Metadata         meta
		Spec             struct {
			From []struct{ Group, Kind, Namespace string }
			To   []struct{ Group, Kind, Name string }
		}
	}
	strict(documents[1], &grant)
	a := security.Spec.ExtAuth
	if a.FailOpen || a.Timeout != "200ms" || !slices.Equal(a.GRPC.BackendRefs, []backend{{"netpold", "netpold", 9480}}) ||
		grant.Metadata.Namespace != a.GRPC.BackendRefs[0].Namespace || grant.Spec.From[0].Namespace != security.Metadata.Namespace {
		t.Errorf("%+v, %+v", security, grant)
	}
}
