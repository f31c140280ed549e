package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// openfgaModel is the schema of spicedb.go in OpenFGA's terms.
const openfgaModel = `{"schema_version": "1.1", "type_definitions": [
	{"type": "pod"},
	{"type": "group", "relations": {"member": {"this": {}}},
		"metadata": {"relations": {"member": {"directly_related_user_types": [{"type": "pod"}]}}}},
	{"type": "socket", "relations": {
			"ingress": {"this": {}}, "egress": {"this": {}},
			"connect": {"intersection": {"child": [
				{"computedUserset": {"relation": "ingress"}}, {"computedUserset": {"relation": "egress"}}]}}},
		"metadata": {"relations": {
			"ingress": {"directly_related_user_types": [
				{"type": "pod", "wildcard": {}}, {"type": "group", "relation": "member"}]},
			"egress": {"directly_related_user_types": [{"type": "group", "relation": "member"}]}}}}
]}`

// openfga keeps relations in memory, which it searches from end to end, or in a file of SQLite, which has indexes.
type openfga struct {
	// name is how the table calls it; sqlite and cached are what it is started with.
	name           string
	sqlite, cached bool

	proc         *process
	conn         *grpc.ClientConn
	addr         string
	store, model string
	// connections are those of its callers.
	connections int
}

func (o *openfga) process() *process { return o.proc }

func (o *openfga) stop() {
	if o.conn != nil {
		_ = o.conn.Close() // its server ends
	}
	o.proc.stop()
}

// most is the number of questions that a batch may have here; the default is 50.
const most = 1000

// start implements [service].
func (o *openfga) start(ctx context.Context, e *environment, m *model) (err error) {
	o.connections = e.connections
	if o.addr, err = freeAddr(); err != nil {
		return err
	}
	program := filepath.Join(e.bin, "openfga")
	args := []string{"run", "--grpc-addr", o.addr, "--http-enabled=false", "--playground-enabled=false",
		"--metrics-enabled=false", "--log-level", "warn", "--max-checks-per-batch-check", strconv.Itoa(most)}
	if o.cached {
		args = append(args, "--check-query-cache-enabled", "--check-iterator-cache-enabled", "--check-cache-limit", "1000000")
	}
	if o.sqlite {
		store := []string{"--datastore-engine", "sqlite", "--datastore-uri", "file:" + filepath.Join(e.dir, o.name+".db")}
		migrate := exec.CommandContext(ctx, program, append([]string{"migrate"}, store...)...)
		migrate.Env = ownEnv(migrate.Environ())
		if output, err := migrate.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", migrate, err, output)
		}
		args = append(args, store...)
	}
	if o.proc, err = startProcess(ctx, nil, program, args...); err != nil {
		return err
	}
	if err := o.proc.retryTCP(ctx, o.addr); err != nil {
		return err
	}
	if o.conn, err = dial(o.addr); err != nil {
		return err
	}
	return o.load(ctx, m.tuples())
}

func (o *openfga) client() openfgav1.OpenFGAServiceClient {
	return openfgav1.NewOpenFGAServiceClient(o.conn)
}

// load writes the model and all relations, as many at once as it takes.
func (o *openfga) load(ctx context.Context, tuples []tuple) error {
	store, err := o.client().CreateStore(ctx, &openfgav1.CreateStoreRequest{Name: "cluster"}, grpc.WaitForReady(true))
	if err != nil {
		return errors.Join(o.proc.ended(), err)
	}
	o.store = store.GetId()
	request := &openfgav1.WriteAuthorizationModelRequest{StoreId: o.store}
	if err := protojson.Unmarshal([]byte(openfgaModel), request); err != nil {
		return err
	}
	request.StoreId = o.store
	model, err := o.client().WriteAuthorizationModel(ctx, request)
	if err != nil {
		return err
	}
	o.model = model.GetAuthorizationModelId()
	return o.write(ctx, tuples, nil)
}

// write writes and removes relations. One call takes 100.
func (o *openfga) write(ctx context.Context, added, removed []tuple) error {
	const atOnce = 100
	for list := range slices.Chunk(added, atOnce) {
		var keys []*openfgav1.TupleKey
		for _, t := range list {
			user, relation, object := openfgaTuple(t)
			keys = append(keys, &openfgav1.TupleKey{User: user, Relation: relation, Object: object})
		}
		_, err := o.client().Write(ctx, &openfgav1.WriteRequest{StoreId: o.store, AuthorizationModelId: o.model,
			Writes: &openfgav1.WriteRequestWrites{TupleKeys: keys}})
		if err != nil {
			return errors.Join(o.proc.ended(), err)
		}
	}
	for list := range slices.Chunk(removed, atOnce) {
		var keys []*openfgav1.TupleKeyWithoutCondition
		for _, t := range list {
			user, relation, object := openfgaTuple(t)
			keys = append(keys, &openfgav1.TupleKeyWithoutCondition{User: user, Relation: relation, Object: object})
		}
		_, err := o.client().Write(ctx, &openfgav1.WriteRequest{StoreId: o.store, AuthorizationModelId: o.model,
			Deletes: &openfgav1.WriteRequestDeletes{TupleKeys: keys}})
		if err != nil {
			return errors.Join(o.proc.ended(), err)
		}
	}
	return nil
}

// openfgaTuple is a tuple as OpenFGA writes it.
func openfgaTuple(t tuple) (user, relation, object string) {
	user = t.subjectKind + ":" + t.subject
	if t.subjectKind == kindGroup {
		user += "#" + relationMember
	}
	return user, t.relation, t.kind + ":" + t.id
}

// apply implements [service].
func (o *openfga) apply(ctx context.Context, c *change, forth bool) error {
	t := c.tuples[which(forth)]
	return o.write(ctx, t.added, t.removed)
}

// ways implements [service].
func (o *openfga) ways() []way {
	return []way{
		{service: o.name, name: "Check", encode: func(list []question) ([]byte, error) {
			key := checkKey(list[0])
			return proto.Marshal(&openfgav1.CheckRequest{StoreId: o.store, AuthorizationModelId: o.model, TupleKey: key})
		}, decode: func(answer []byte, _ int) ([]bool, error) {
			var m openfgav1.CheckResponse
			err := proto.Unmarshal(answer, &m)
			return []bool{m.GetAllowed()}, err
		}, dial: dialUnary(o.addr, o.connections, openfgav1.OpenFGAService_Check_FullMethodName)},
		{service: o.name, name: "BatchCheck", many: true, encode: func(list []question) ([]byte, error) {
			m := &openfgav1.BatchCheckRequest{StoreId: o.store, AuthorizationModelId: o.model}
			for i, q := range list {
				m.Checks = append(m.Checks, &openfgav1.BatchCheckItem{TupleKey: checkKey(q), CorrelationId: strconv.Itoa(i)})
			}
			return proto.Marshal(m)
		}, decode: decodeBatchCheck,
			dial: dialUnary(o.addr, o.connections, openfgav1.OpenFGAService_BatchCheck_FullMethodName)},
	}
}

func checkKey(q question) *openfgav1.CheckRequestTupleKey {
	return &openfgav1.CheckRequestTupleKey{
		User: kindPod + ":" + q.src.id, Relation: connect, Object: kindSocket + ":" + socketID(q.dst, q.port),
	}
}

func decodeBatchCheck(answer []byte, asked int) ([]bool, error) {
	var m openfgav1.BatchCheckResponse
	if err := proto.Unmarshal(answer, &m); err != nil {
		return nil, err
	}
	list := make([]bool, asked)
	for i := range list {
		result := m.GetResult()[strconv.Itoa(i)]
		if e := result.GetError(); e != nil || result == nil {
			return nil, fmt.Errorf("question %d has no answer: %v", i, e)
		}
		list[i] = result.GetAllowed()
	}
	return list, nil
}
