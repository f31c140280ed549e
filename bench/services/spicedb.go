package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// spicedbSchema says which relations there are. What makes a connection is the last line but one.
const spicedbSchema = `
definition pod {}
definition group {
	relation member: pod
}
definition socket {
	relation ingress: pod:* | group#member
	relation egress: group#member
	permission connect = ingress & egress
}`

// spicedb keeps relations in memory.
type spicedb struct {
	proc *process
	conn *grpc.ClientConn
	addr string
	// connections are those of its callers.
	connections int
}

// spicedbHeader is the credential that every call needs.
var spicedbHeader = []string{"authorization", "Bearer bench"}

func (s *spicedb) process() *process { return s.proc }

func (s *spicedb) stop() {
	if s.conn != nil {
		_ = s.conn.Close() // its server ends
	}
	s.proc.stop()
}

// start implements [service].
func (s *spicedb) start(ctx context.Context, e *environment, m *model) (err error) {
	s.connections = e.connections
	if s.addr, err = freeAddr(); err != nil {
		return err
	}
	s.proc, err = startProcess(ctx, nil, filepath.Join(e.bin, "spicedb"), "serve", "--datastore-engine", "memory",
		"--grpc-preshared-key", "bench", "--grpc-addr", s.addr, "--metrics-enabled=false", "--telemetry-endpoint", "",
		"--log-level", "warn", "--skip-release-check")
	if err != nil {
		return err
	}
	if err := s.proc.retryTCP(ctx, s.addr); err != nil {
		return err
	}
	if s.conn, err = dial(s.addr); err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, spicedbHeader...)
	schema := &v1.WriteSchemaRequest{Schema: spicedbSchema}
	_, err = v1.NewSchemaServiceClient(s.conn).WriteSchema(ctx, schema, grpc.WaitForReady(true))
	if err != nil {
		return errors.Join(s.proc.ended(), err)
	}
	return s.load(ctx, m.tuples())
}

// load writes all relations at once.
func (s *spicedb) load(ctx context.Context, tuples []tuple) error {
	stream, err := v1.NewPermissionsServiceClient(s.conn).ImportBulkRelationships(ctx)
	if err != nil {
		return err
	}
	for list := range slices.Chunk(tuples, 1000) {
		var request v1.ImportBulkRelationshipsRequest
		for _, t := range list {
			request.Relationships = append(request.Relationships, relationship(t))
		}
		if err := stream.Send(&request); err != nil {
			break // the answer says why
		}
	}
	answer, err := stream.CloseAndRecv()
	if err == nil && answer.GetNumLoaded() != uint64(len(tuples)) {
		err = fmt.Errorf("%d of %d relations were written", answer.GetNumLoaded(), len(tuples))
	}
	return err
}

func relationship(t tuple) *v1.Relationship {
	subject := &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: t.subjectKind, ObjectId: t.subject}}
	if t.subjectKind == kindGroup {
		subject.OptionalRelation = relationMember
	}
	return &v1.Relationship{
		Resource: &v1.ObjectReference{ObjectType: t.kind, ObjectId: t.id}, Relation: t.relation, Subject: subject,
	}
}

// apply implements [service].
func (s *spicedb) apply(ctx context.Context, c *change, forth bool) error {
	t := c.tuples[which(forth)]
	var request v1.WriteRelationshipsRequest
	write := func(list []tuple, operation v1.RelationshipUpdate_Operation) {
		for _, t := range list {
			update := &v1.RelationshipUpdate{Operation: operation, Relationship: relationship(t)}
			request.Updates = append(request.Updates, update)
		}
	}
	write(t.added, v1.RelationshipUpdate_OPERATION_TOUCH)
	write(t.removed, v1.RelationshipUpdate_OPERATION_DELETE)
	ctx = metadata.AppendToOutgoingContext(ctx, spicedbHeader...)
	_, err := v1.NewPermissionsServiceClient(s.conn).WriteRelationships(ctx, &request)
	return err
}

// ways implements [service].
func (s *spicedb) ways() []way {
	const name = "SpiceDB"
	check := func(c *v1.Consistency) func([]question) ([]byte, error) {
		return func(list []question) ([]byte, error) {
			q := list[0]
			return proto.Marshal(&v1.CheckPermissionRequest{
				Consistency: c, Resource: socketObject(q), Permission: connect, Subject: podSubject(q),
			})
		}
	}
	dialCheck := dialUnary(s.addr, s.connections, v1.PermissionsService_CheckPermission_FullMethodName, spicedbHeader...)
	full := &v1.Consistency{Requirement: &v1.Consistency_FullyConsistent{FullyConsistent: true}}
	return []way{
		{service: name, name: "CheckPermission", encode: check(nil), decode: decodePermission, dial: dialCheck},
		{service: name, name: "CheckPermission, fully consistent", encode: check(full), decode: decodePermission,
			dial: dialCheck},
		{service: name, name: "CheckBulkPermissions", many: true, encode: encodeBulk, decode: decodeBulk,
			dial: dialUnary(s.addr, s.connections, v1.PermissionsService_CheckBulkPermissions_FullMethodName, spicedbHeader...)},
	}
}

func socketObject(q question) *v1.ObjectReference {
	return &v1.ObjectReference{ObjectType: kindSocket, ObjectId: socketID(q.dst, q.port)}
}

func podSubject(q question) *v1.SubjectReference {
	return &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: kindPod, ObjectId: q.src.id}}
}

func decodePermission(answer []byte, _ int) ([]bool, error) {
	var m v1.CheckPermissionResponse
	err := proto.Unmarshal(answer, &m)
	return []bool{m.GetPermissionship() == v1.CheckPermissionResponse_PERMISSIONSHIP_HAS_PERMISSION}, err
}

func encodeBulk(list []question) ([]byte, error) {
	var m v1.CheckBulkPermissionsRequest
	for _, q := range list {
		m.Items = append(m.Items, &v1.CheckBulkPermissionsRequestItem{
			Resource: socketObject(q), Permission: connect, Subject: podSubject(q),
		})
	}
	return proto.Marshal(&m)
}

func decodeBulk(answer []byte, _ int) ([]bool, error) {
	var m v1.CheckBulkPermissionsResponse
	if err := proto.Unmarshal(answer, &m); err != nil {
		return nil, err
	}
	var list []bool
	for _, pair := range m.GetPairs() {
		if e := pair.GetError(); e != nil {
			return nil, errors.New(e.GetMessage())
		}
		list = append(list, pair.GetItem().GetPermissionship() == v1.CheckPermissionResponse_PERMISSIONSHIP_HAS_PERMISSION)
	}
	return list, nil
}
