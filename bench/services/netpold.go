package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// netpold follows an API server in this process, as it follows a real one.
type netpold struct {
	api  *apiServer
	proc *process
	addr string
	// connections are those of its callers.
	connections int
}

func (n *netpold) process() *process { return n.proc }

func (n *netpold) stop() {
	n.proc.stop()
	if n.api != nil {
		_ = n.api.close() // its only client is gone
	}
}

// start implements [service].
func (n *netpold) start(ctx context.Context, e *environment, m *model) (err error) {
	n.connections = e.connections
	if n.api, err = startAPI(m.cluster.Changes()); err != nil {
		return err
	}
	kubeconfig := filepath.Join(e.dir, "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\n"+
		"contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n", "http://"+n.api.addr)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		return err
	}
	n.proc, err = startProcess(ctx, nil, e.netpold, "serve", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:0",
		"--admin-listen", "", "--log-format", "json")
	if err != nil {
		return fmt.Errorf("%w: make build makes it", err)
	}
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case line := <-n.proc.lines:
			var record struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &record) != nil {
				continue
			}
			switch record.Msg {
			case "serving":
				n.addr = record.Addr
			case "ready":
				return nil
			}
		case <-n.proc.gone:
			return errors.Join(n.proc.why, context.Cause(ctx))
		case <-limit.C:
			return errors.New("netpold is not ready after a minute")
		}
	}
}

// apply implements [service]. Nothing is confirmed to the API server: the answer tells when it has changed.
func (n *netpold) apply(_ context.Context, c *change, forth bool) error {
	return n.api.tell(c.policy, !forth)
}

// ways implements [service].
func (n *netpold) ways() []way {
	byIP := func(p *pod) *netpoldv1.Endpoint {
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Ip{Ip: p.ip}}
	}
	byName := func(p *pod) *netpoldv1.Endpoint {
		ref := &netpoldv1.PodRef{Namespace: p.Namespace, Name: p.Name}
		return &netpoldv1.Endpoint{Endpoint: &netpoldv1.Endpoint_Pod{Pod: ref}}
	}
	allowed := func(end func(*pod) *netpoldv1.Endpoint) func([]question) ([]byte, error) {
		return func(q []question) ([]byte, error) { return proto.Marshal(requestOf(q[0], end)) }
	}
	unary := dialUnary(n.addr, n.connections, netpoldv1.DecisionService_Allowed_FullMethodName)
	batches := dialUnary(n.addr, n.connections, netpoldv1.DecisionService_BatchAllowed_FullMethodName)
	streams := dialStreams(n.addr, n.connections, netpoldv1.DecisionService_StreamAllowed_FullMethodName)
	const name = "netpold"
	return []way{
		{service: name, name: "Allowed by IP", encode: allowed(byIP), decode: decodeAllowed, dial: unary},
		{service: name, name: "Allowed by Pod", encode: allowed(byName), decode: decodeAllowed, dial: unary},
		{service: name, name: "Check of ext_authz", encode: encodeCheck, decode: decodeCheck,
			dial: dialUnary(n.addr, n.connections, authv3.Authorization_Check_FullMethodName)},
		{service: name, name: "StreamAllowed", encode: encodeStream, decode: decodeStream, dial: streams},
		{service: name, name: "BatchAllowed", many: true, encode: func(list []question) ([]byte, error) {
			var m netpoldv1.BatchAllowedRequest
			for _, q := range list {
				m.Questions = append(m.Questions, requestOf(q, byIP))
			}
			return proto.Marshal(&m)
		}, decode: decodeBatch, dial: batches},
		{service: name, name: "StreamAllowed", many: true, encode: encodeStream, decode: decodeStream, dial: streams},
	}
}

func requestOf(q question, end func(*pod) *netpoldv1.Endpoint) *netpoldv1.AllowedRequest {
	return &netpoldv1.AllowedRequest{Src: end(q.src), Dst: end(q.dst), Port: uint32(q.port)}
}

func decodeAllowed(answer []byte, _ int) ([]bool, error) {
	var m netpoldv1.AllowedResponse
	err := proto.Unmarshal(answer, &m)
	return []bool{m.GetAllowed()}, err
}

func decodeBatch(answer []byte, _ int) ([]bool, error) {
	var m netpoldv1.BatchAllowedResponse
	if err := proto.Unmarshal(answer, &m); err != nil {
		return nil, err
	}
	var list []bool
	for _, a := range m.GetAnswers() {
		if e := a.GetError(); e != nil {
			return nil, errors.New(e.GetMessage())
		}
		list = append(list, a.GetResponse().GetAllowed())
	}
	return list, nil
}

// encodeStream writes addresses as four bytes each, and ports as two.
func encodeStream(list []question) ([]byte, error) {
	var src, dst, ports []byte
	for _, q := range list {
		s, d := q.src.IPs[0].As4(), q.dst.IPs[0].As4()
		src, dst, ports = append(src, s[:]...), append(dst, d[:]...), append(ports, byte(q.port>>8), byte(q.port))
	}
	return proto.Marshal(&netpoldv1.StreamAllowedRequest{
		Src:   &netpoldv1.StreamAllowedRequest_SrcIpv4{SrcIpv4: src},
		Dst:   &netpoldv1.StreamAllowedRequest_DstIpv4{DstIpv4: dst},
		Ports: ports,
	})
}

func decodeStream(answer []byte, asked int) ([]bool, error) {
	var m netpoldv1.StreamAllowedResponse
	if err := proto.Unmarshal(answer, &m); err != nil {
		return nil, err
	}
	if len(m.GetErrors()) > 0 {
		return nil, errors.New(m.GetErrors()[0].GetError().GetMessage())
	}
	list := make([]bool, asked)
	for i := range list {
		list[i] = m.GetAllowed()[i/8]>>(i%8)&1 != 0
	}
	return list, nil
}

// encodeCheck is what Envoy's network filter asks of a connection.
func encodeCheck(list []question) ([]byte, error) {
	peer := func(ip string, port uint16) *authv3.AttributeContext_Peer {
		socket := &corev3.SocketAddress{
			Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
		}
		return &authv3.AttributeContext_Peer{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: socket}},
		}
	}
	q := list[0]
	return proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer(q.src.ip, 43210), Destination: peer(q.dst.ip, q.port),
	}})
}

// decodeCheck takes OK for allowed and PERMISSION_DENIED for denied, and nothing else.
func decodeCheck(answer []byte, _ int) ([]bool, error) {
	var m authv3.CheckResponse
	if err := proto.Unmarshal(answer, &m); err != nil {
		return nil, err
	}
	const ok, permissionDenied = 0, 7
	if code := m.GetStatus().GetCode(); code != ok && code != permissionDenied {
		return nil, fmt.Errorf("the answer's status is %v", m.GetStatus())
	}
	return []bool{m.GetStatus().GetCode() == ok}, nil
}
