package manifests

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/netpold/netpold/mirror"
)

// A token names a state: for the process that published it by a generation, for other processes by the
// content that was read.
type token struct {
	instance   [8]byte
	generation uint64
	content    [16]byte
}

const (
	// tokenKind distinguishes tokens from those of other mirrors.
	tokenKind = 'm'
	tokenSize = 1 + 8 + 8 + 16
)

func (t token) String() string {
	b := make([]byte, 0, tokenSize)
	b = append(append(b, tokenKind), t.instance[:]...)
	b = binary.BigEndian.AppendUint64(b, t.generation)
	return base64.RawURLEncoding.EncodeToString(append(b, t.content[:]...))
}

func parseToken(s string) (token, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) > 0 && b[0] == 'l' { // the first byte of tokens of mirror/live
		return token{}, fmt.Errorf("%w: it is of a running cluster, and this is a state of manifests; ask "+
			"without it", mirror.ErrTokenUnknown)
	}
	if err != nil || len(b) != tokenSize || b[0] != tokenKind {
		return token{}, fmt.Errorf("%w %q: give one that a netpold serving manifests gave, unchanged, or none",
			mirror.ErrTokenMalformed, s)
	}
	t := token{generation: binary.BigEndian.Uint64(b[9:17])}
	copy(t.instance[:], b[1:9])
	copy(t.content[:], b[17:])
	return t, nil
}

// reaches returns an error if the state that t names may be older than the one that wanted names.
func (t token) reaches(wanted token) error {
	if wanted.content == t.content || wanted.instance == t.instance && wanted.generation <= t.generation {
		return nil
	}
	if wanted.instance == t.instance {
		return fmt.Errorf("%w: it names state %d of this process, which has published %d so far",
			mirror.ErrTokenUnknown, wanted.generation, t.generation)
	}
	return fmt.Errorf("%w: it is of another process, or of this one before a restart, and the manifests "+
		"served here are not those that it names; ask without it, or again when both serve the same files",
		mirror.ErrTokenUnknown)
}
