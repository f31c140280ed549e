// The protoc plugins, which buf.gen.yaml runs. Apart from ../go.mod because buf requires an unreleased protobuf, and the
// version of the plugins is written into every generated file: it must be a release.
module github.com/netpold/netpold/tools/gen

go 1.26.0

tool (
	google.golang.org/grpc/cmd/protoc-gen-go-grpc
	google.golang.org/protobuf/cmd/protoc-gen-go
)

require (
	google.golang.org/grpc/cmd/protoc-gen-go-grpc v1.6.2 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
