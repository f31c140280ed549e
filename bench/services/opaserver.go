package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

const (
	// serving is printed with the address, applied after a change.
	serving, applied = "serving ", "applied"
)

// opaServer answers ext_authz by a prepared query. It does less than opa-envoy-plugin does for each call: the input has
// addresses and a port and nothing else of the request, and there is no decision log and no metrics.
type opaServer struct {
	authv3.UnimplementedAuthorizationServer
	query rego.PreparedEvalQuery
	store storage.Store
}

// serveOPA serves a policy and its data on the loopback, and makes the changes that it reads, a JSON Patch in each
// line.
func serveOPA(ctx context.Context, policy, data string, changes io.Reader, stdout io.Writer) error {
	s, err := newOPAServer(ctx, policy, data)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintln(stdout, serving+listener.Addr().String())
	err = s.follow(ctx, changes, stdout)
	server.Stop()
	return errors.Join(err, <-ended)
}

func newOPAServer(ctx context.Context, policy, data string) (*opaServer, error) {
	module, err := os.ReadFile(policy)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(data)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	// Data lies ready as OPA's own values, which is its fastest store.
	store := inmem.NewFromObjectWithOpts(values, inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(
		rego.Query("data.netpol.allow"), rego.Module("netpol.rego", string(module)), rego.Store(store),
	).PrepareForEval(ctx)
	return &opaServer{query: query, store: store}, err
}

// follow makes changes until there are no more.
func (s *opaServer) follow(ctx context.Context, changes io.Reader, stdout io.Writer) error {
	lines := bufio.NewScanner(changes)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if err := s.apply(ctx, lines.Bytes()); err != nil {
			return err
		}
		fmt.Fprintln(stdout, applied)
	}
	return lines.Err()
}

// apply makes a JSON Patch at once.
func (s *opaServer) apply(ctx context.Context, text []byte) error {
	var steps []patch
	if err := json.Unmarshal(text, &steps); err != nil {
		return err
	}
	return storage.Txn(ctx, s.store, storage.WriteParams, func(txn storage.Transaction) error {
		for _, step := range steps {
			var path storage.Path
			for part := range strings.SplitSeq(strings.TrimPrefix(step.Path, "/"), "/") {
				path = append(path, unescaped(part))
			}
			op := storage.AddOp
			switch step.Op {
			case "replace":
				op = storage.ReplaceOp
			case "remove":
				op = storage.RemoveOp
			}
			if err := s.store.Write(ctx, txn, op, path, step.Value); err != nil {
				return fmt.Errorf("%s %s: %w", step.Op, step.Path, err)
			}
		}
		return nil
	})
}

// Check implements [authv3.AuthorizationServer].
func (s *opaServer) Check(ctx context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	src := r.GetAttributes().GetSource().GetAddress().GetSocketAddress()
	dst := r.GetAttributes().GetDestination().GetAddress().GetSocketAddress()
	input := ast.NewObject(
		[2]*ast.Term{ast.InternedTerm("src"), ast.StringTerm(src.GetAddress())},
		[2]*ast.Term{ast.InternedTerm("dst"), ast.StringTerm(dst.GetAddress())},
		[2]*ast.Term{ast.InternedTerm("port"), ast.InternedTerm(int(dst.GetPortValue()))},
	)
	results, err := s.query.Eval(ctx, rego.EvalParsedInput(input))
	if err != nil {
		return nil, err
	}
	code := codes.PermissionDenied
	if results.Allowed() {
		code = codes.OK
	}
	return &authv3.CheckResponse{Status: &status.Status{Code: int32(code)}}, nil
}
