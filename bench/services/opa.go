package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

// opaFiles writes what OPA reads at its start, its policy and its data.
func opaFiles(dir string, m *model) (policy, data string, err error) {
	policy, data = filepath.Join(dir, "netpol.rego"), filepath.Join(dir, "data.json")
	if err := os.WriteFile(policy, []byte(netpolRego), 0o600); err != nil {
		return "", "", err
	}
	text, err := json.Marshal(m.document())
	if err != nil {
		return "", "", err
	}
	return policy, data, os.WriteFile(data, text, 0o600)
}

// opaREST is OPA's own server, asked by its REST API.
type opaREST struct {
	proc *process
	addr string
}

func (o *opaREST) process() *process { return o.proc }

func (o *opaREST) stop() { o.proc.stop() }

// start implements [service].
func (o *opaREST) start(ctx context.Context, e *environment, m *model) (err error) {
	policy, data, err := opaFiles(e.dir, m)
	if err != nil {
		return err
	}
	if o.addr, err = freeAddr(); err != nil {
		return err
	}
	o.proc, err = startProcess(ctx, nil, filepath.Join(e.bin, "opa"), "run", "--server", "--addr", o.addr,
		"--log-level", "error", "--skip-version-check", "--optimize-store-for-read-speed", policy, data)
	if err != nil {
		return err
	}
	return o.proc.retryTCP(ctx, o.addr)
}

// apply implements [service]. It has a connection of its own each time: OPA closes those that were idle.
func (o *opaREST) apply(ctx context.Context, c *change, forth bool) error {
	callers, closer, err := dialHTTP(o.addr)(1)
	if err != nil {
		return err
	}
	_, err = callers[0].call(ctx, httpRequest("PATCH", o.addr, "/v1/data", "application/json-patch+json", c.patch[which(forth)]))
	return errors.Join(err, closer.Close())
}

// opaInput is a question as OPA's policy takes it.
type opaInput struct {
	Src  string `json:"src"`
	Dst  string `json:"dst"`
	Port uint16 `json:"port"`
}

func inputOf(q question) opaInput { return opaInput{q.src.ip, q.dst.ip, q.port} }

// ways implements [service].
func (o *opaREST) ways() []way {
	const name = "OPA, REST"
	post := func(rule string, input any) ([]byte, error) {
		body, err := json.Marshal(map[string]any{"input": input})
		return httpRequest("POST", o.addr, "/v1/data/netpol/"+rule, "application/json", body), err
	}
	return []way{
		{service: name, name: "POST /v1/data/netpol/allow", encode: func(list []question) ([]byte, error) {
			return post("allow", inputOf(list[0]))
		}, decode: func(answer []byte, _ int) ([]bool, error) {
			var m struct{ Result *bool }
			if err := json.Unmarshal(answer, &m); err != nil || m.Result == nil {
				return nil, fmt.Errorf("%w in %s", errors.Join(err, errors.New("no result")), answer)
			}
			return []bool{*m.Result}, nil
		}, dial: dialHTTP(o.addr)},
		{service: name, name: "POST /v1/data/netpol/answers", many: true, encode: func(list []question) ([]byte, error) {
			var inputs []opaInput
			for _, q := range list {
				inputs = append(inputs, inputOf(q))
			}
			return post("answers", map[string]any{"questions": inputs})
		}, decode: func(answer []byte, _ int) ([]bool, error) {
			var m struct{ Result []bool }
			err := json.Unmarshal(answer, &m)
			return m.Result, err
		}, dial: dialHTTP(o.addr)},
	}
}

// opaExtAuthz is a gRPC server around OPA's prepared query, which is this program (see opaserver.go).
type opaExtAuthz struct {
	proc *process
	addr string
	// connections are those of its callers.
	connections int
}

func (o *opaExtAuthz) process() *process { return o.proc }

func (o *opaExtAuthz) stop() { o.proc.stop() }

// start implements [service].
func (o *opaExtAuthz) start(ctx context.Context, e *environment, m *model) (err error) {
	o.connections = e.connections
	policy, data, err := opaFiles(e.dir, m)
	if err != nil {
		return err
	}
	if o.proc, err = startProcess(ctx, []string{childVariable + "=" + childOPA}, e.own, policy, data); err != nil {
		return err
	}
	o.addr, err = o.proc.servesAt(ctx, "the server around OPA")
	return err
}

// apply implements [service].
func (o *opaExtAuthz) apply(ctx context.Context, c *change, forth bool) error {
	if _, err := o.proc.stdin.Write(append(slices.Clone(c.patch[which(forth)]), '\n')); err != nil {
		return errors.Join(o.proc.ended(), err)
	}
	line, err := o.proc.next(ctx)
	if err == nil && line != applied {
		err = fmt.Errorf("the server around OPA says %q to a change", line)
	}
	return err
}

// ways implements [service].
func (o *opaExtAuthz) ways() []way {
	return []way{{service: "OPA, ext_authz", name: "Check of ext_authz", encode: encodeCheck, decode: decodeCheck,
		dial: dialUnary(o.addr, o.connections, authv3.Authorization_Check_FullMethodName)}}
}
