package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	effectv1 "github.com/cerbos/cerbos/api/genpb/cerbos/effect/v1"
	enginev1 "github.com/cerbos/cerbos/api/genpb/cerbos/engine/v1"
	policyv1 "github.com/cerbos/cerbos/api/genpb/cerbos/policy/v1"
	requestv1 "github.com/cerbos/cerbos/api/genpb/cerbos/request/v1"
	responsev1 "github.com/cerbos/cerbos/api/genpb/cerbos/response/v1"
	svcv1 "github.com/cerbos/cerbos/api/genpb/cerbos/svc/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/netpold/netpold/engine"
)

// cerbos keeps policies in memory, in a database of SQLite, which is what its administrators' API can change.
type cerbos struct {
	proc *process
	conn *grpc.ClientConn
	addr string
	m    *model
	// connections are those of its callers.
	connections int
}

func (c *cerbos) process() *process { return c.proc }

func (c *cerbos) stop() {
	if c.conn != nil {
		_ = c.conn.Close() // its server ends
	}
	c.proc.stop()
}

const cerbosConfig = `
server:
  httpListenAddr: %q
  grpcListenAddr: %q
  metricsEnabled: false
  apiExplorerEnabled: false
  adminAPI: {enabled: true}
  requestLimits: {maxResourcesPerRequest: 500}
storage:
  driver: sqlite3
  sqlite3: {dsn: "file::memory:?_fk=true&cache=shared"}
telemetry: {disabled: true}
`

// start implements [service].
func (c *cerbos) start(ctx context.Context, e *environment, m *model) (err error) {
	c.connections, c.m = e.connections, m
	http, err1 := freeAddr()
	addr, err2 := freeAddr()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c.addr = addr
	config := filepath.Join(e.dir, "cerbos.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, cerbosConfig, http, addr), 0o600); err != nil {
		return err
	}
	c.proc, err = startProcess(ctx, nil, filepath.Join(e.bin, "cerbos"), "server", "--config", config,
		"--log-level", "error")
	if err != nil {
		return err
	}
	if err := c.proc.retryTCP(ctx, c.addr); err != nil {
		return err
	}
	if c.conn, err = dial(c.addr); err != nil {
		return err
	}
	policies, err := m.cerbosPolicies()
	if err != nil {
		return err
	}
	if err := c.put(ctx, policies); err != nil {
		return err
	}
	return c.settle(ctx)
}

// settle returns when the policies that were put count, which is a moment after they are confirmed. One is put last,
// and asked about.
func (c *cerbos) settle(ctx context.Context) error {
	const last = "last"
	err := c.put(ctx, map[string]*policyv1.Policy{last: resourcePolicy(last, allowing(nil))})
	if err != nil {
		return err
	}
	return c.proc.retry(ctx, func(ctx context.Context) error {
		answer, err := svcv1.NewCerbosServiceClient(c.conn).CheckResources(ctx, &requestv1.CheckResourcesRequest{
			Principal: &enginev1.Principal{Id: last, Roles: []string{"pod"}},
			Resources: []*requestv1.CheckResourcesRequest_ResourceEntry{{
				Actions: []string{connect}, Resource: &enginev1.Resource{Kind: last, Id: last},
			}},
		})
		if err == nil && answer.GetResults()[0].GetActions()[connect] != effectv1.Effect_EFFECT_ALLOW {
			err = errors.New("the policy put last does not count yet")
		}
		return err
	})
}

// put adds policies, or puts them in place of those before.
func (c *cerbos) put(ctx context.Context, policies map[string]*policyv1.Policy) error {
	// The credentials that Cerbos has if none are set.
	credentials := base64.StdEncoding.EncodeToString([]byte("cerbos:cerbosAdmin"))
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+credentials)
	for names := range slices.Chunk(slices.Sorted(maps.Keys(policies)), 10) {
		var request requestv1.AddOrUpdatePolicyRequest
		for _, name := range names {
			request.Policies = append(request.Policies, policies[name])
		}
		_, err := svcv1.NewCerbosAdminServiceClient(c.conn).AddOrUpdatePolicy(ctx, &request, grpc.WaitForReady(true))
		if err != nil {
			return errors.Join(c.proc.ended(), fmt.Errorf("policies %q: %w", names, err))
		}
	}
	return nil
}

// apply implements [service].
func (c *cerbos) apply(ctx context.Context, change *change, forth bool) error {
	return c.put(ctx, change.policies[which(forth)])
}

// ways implements [service].
func (c *cerbos) ways() []way {
	const name = "Cerbos"
	dial := dialUnary(c.addr, c.connections, svcv1.CerbosService_CheckResources_FullMethodName)
	return []way{
		{service: name, name: "CheckResources", encode: c.encode, decode: decodeResources, dial: dial},
		{service: name, name: "CheckResources", many: true, encode: c.encode, decode: decodeResources, dial: dial},
	}
}

// encode asks about one principal and each destination.
func (c *cerbos) encode(list []question) ([]byte, error) {
	src := list[0].src
	m := &requestv1.CheckResourcesRequest{Principal: &enginev1.Principal{
		Id: src.Namespace, Roles: []string{"pod"}, Attr: c.attributes(src),
	}}
	for i, q := range list {
		if q.src != src {
			return nil, errors.New("questions of one call have several sources: Cerbos takes one principal")
		}
		attributes := c.attributes(q.dst)
		attributes["port"] = structpb.NewNumberValue(float64(q.port))
		named := map[string]*structpb.Value{}
		for _, p := range q.dst.Ports {
			if p.Protocol == engine.TCP {
				named[p.Name] = structpb.NewNumberValue(float64(p.Port))
			}
		}
		attributes["ports"] = structpb.NewStructValue(&structpb.Struct{Fields: named})
		m.Resources = append(m.Resources, &requestv1.CheckResourcesRequest_ResourceEntry{Actions: []string{connect},
			Resource: &enginev1.Resource{Kind: q.dst.Namespace, Id: fmt.Sprintf("%s/%d", q.dst.Name, i), Attr: attributes}})
	}
	return proto.Marshal(m)
}

func (c *cerbos) attributes(p *pod) map[string]*structpb.Value {
	labels := func(from map[string]string) *structpb.Value {
		to := map[string]*structpb.Value{}
		for key, value := range from {
			to[key] = structpb.NewStringValue(value)
		}
		return structpb.NewStructValue(&structpb.Struct{Fields: to})
	}
	return map[string]*structpb.Value{
		"namespace": structpb.NewStringValue(p.Namespace), "labels": labels(p.Labels),
		"namespaceLabels": labels(c.m.namespaces[p.Namespace]),
	}
}

func decodeResources(answer []byte, _ int) ([]bool, error) {
	var m responsev1.CheckResourcesResponse
	if err := proto.Unmarshal(answer, &m); err != nil {
		return nil, err
	}
	var list []bool
	for _, r := range m.GetResults() {
		if len(r.GetValidationErrors()) > 0 {
			return nil, fmt.Errorf("%v", r.GetValidationErrors())
		}
		list = append(list, r.GetActions()[connect] == effectv1.Effect_EFFECT_ALLOW)
	}
	return list, nil
}
