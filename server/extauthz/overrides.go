package extauthz

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/netpold/netpold/proto/names"
	"github.com/netpold/netpold/server/internal/wire"
)

// A key is what an override overrides (P7).
type key uint8

const (
	keySrc key = iota
	keyDst
	keyPort
	keyProtocol
	keyRequireKnown
	keyRequirePrincipal
	keyTrustDomain
	keyShadow
	keyCount
)

// keyNames has the keys as they are written.
var keyNames = [keyCount]string{"src", "dst", "port", "protocol", "require_known", "require_principal",
	"trust_domain", "shadow"}

func keyNamed(name string) (key, bool) {
	k := slices.Index(keyNames[:], name)
	return key(max(k, 0)), k >= 0
}

// The three places of overrides (P7). Each has a prefix or a name of its own.
const (
	extensionPrefix   = "netpold."
	metadataNamespace = "netpold"
	grpcPrefix        = "netpold-"
)

// An override is a value that the proxy's configuration sets.
type override struct {
	value string
	// field is the path by which errors name it; empty for an override that is not set.
	field string
	// wrong says what is wrong with it, when there is no one value; else empty.
	wrong string
}

func (o *override) set() bool { return o.field != "" }

// given reports whether it is set, and has one value.
func (o *override) given() bool { return o.set() && o.wrong == "" }

// overrides has the override of each key: that of the first place which has the key.
type overrides [keyCount]override

// put stores an override, unless an earlier place has one.
func (o *overrides) put(k key, put override) {
	if !o[k].set() {
		o[k] = put
	}
}

// overrides reads the three places in their order, and rejects every unknown key.
func (r *reader) overrides(attrs *authv3.AttributeContext, md metadata.MD) (o overrides) {
	r.extensions(&o, attrs.GetContextExtensions())
	r.filterMetadata(&o, attrs.GetMetadataContext().GetFilterMetadata()[metadataNamespace])
	r.grpcMetadata(&o, md)
	for i := range o {
		if o[i].wrong != "" {
			r.Reject(o[i].field, "%s", o[i].wrong)
		}
	}
	return o
}

// extensions reads context_extensions["netpold.KEY"].
func (r *reader) extensions(o *overrides, extensions map[string]string) {
	if len(extensions) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(extensions)) {
		word, ours := strings.CutPrefix(name, extensionPrefix)
		if !ours {
			continue
		}
		field := fmt.Sprintf("context_extensions[%s]", wire.Quote(name))
		if k, ok := keyNamed(word); ok {
			o.put(k, override{value: extensions[name], field: field})
		} else {
			r.unknownKey(field, word, extensionPrefix, "_")
		}
	}
}

// filterMetadata reads the field KEY of metadata_context.filter_metadata["netpold"].
func (r *reader) filterMetadata(o *overrides, in *structpb.Struct) {
	if in == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(in.GetFields())) {
		k, ok := keyNamed(name)
		if !ok {
			r.unknownKey(fmt.Sprintf("metadata_context[%q].%s", metadataNamespace, cut(name)), name, "", "_")
			continue
		}
		put := override{field: fmt.Sprintf("metadata_context[%q].%s", metadataNamespace, name)}
		if value, ok := in.GetFields()[name].GetKind().(*structpb.Value_StringValue); ok {
			put.value = value.StringValue
		} else {
			put.wrong = `is not a string; write it in quotes, for example "8080"`
		}
		o.put(k, put)
	}
}

// grpcMetadata reads the gRPC metadata netpold-KEY, with "-" for "_".
func (r *reader) grpcMetadata(o *overrides, md metadata.MD) {
	var found []string // few, if any
	for name := range md {
		if strings.HasPrefix(name, grpcPrefix) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	for _, name := range found {
		word := name[len(grpcPrefix):]
		field := fmt.Sprintf("metadata %s", wire.Quote(name))
		k, ok := keyNamed(strings.ReplaceAll(word, "-", "_"))
		if !ok || strings.Contains(word, "_") {
			r.unknownKey(field, word, grpcPrefix, "-")
			continue
		}
		put := override{field: field}
		if n := len(md[name]); n == 1 {
			put.value = md[name][0]
		} else {
			put.wrong = fmt.Sprintf("has %d values; give one", n)
		}
		o.put(k, put)
	}
}

// unknownKey rejects a key after prefix, where keys are written with separator.
func (r *reader) unknownKey(field, word, prefix, separator string) {
	keys := keyNames
	for i := range keys {
		keys[i] = strings.ReplaceAll(keys[i], "_", separator)
	}
	near := ""
	if meant := names.Nearest(cut(word), slices.Values(keys[:])); meant != "" {
		near = "did you mean " + prefix + meant + "? "
	}
	r.Reject(field, "is no override; %sthe keys are %s", near, strings.Join(keys[:], ", "))
}

// maxKey is how much of an unknown key is looked at, in bytes.
const maxKey = 40

// cut returns the beginning of a key that may be long, for errors.
func cut(word string) string { return strings.ToValidUTF8(word[:min(len(word), maxKey)], "") }
