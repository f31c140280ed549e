package live

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"

	"github.com/netpold/netpold/engine"
	"github.com/netpold/netpold/mirror"
)

// A digest identifies everything in an object that a verdict can depend on. Equal digests mean equal objects.
// Digests include a secret of the process, so nobody can craft a change that collides with another object.
type digest [16]byte

// A secret is hashed before everything else.
type secret [16]byte

// An encoder serializes objects, equal ones to equal bytes. It is not safe for concurrent use.
type encoder struct {
	secret secret
	buffer []byte
	keys   []string
}

// digest returns the digest of o and its problems. It reads every field by reflection, so new fields are
// included.
func (e *encoder) digest(o engine.Object, problems []mirror.Problem) digest {
	e.buffer = append(e.buffer[:0], e.secret[:]...)
	e.value(reflect.ValueOf(o).Elem())
	for i := range problems {
		e.value(reflect.ValueOf(&problems[i]).Elem())
	}
	sum := sha256.Sum256(e.buffer)
	return digest(sum[:len(digest{})])
}

// value appends v, which must be addressable.
func (e *encoder) value(v reflect.Value) {
	switch known := v.Addr().Interface().(type) {
	case *string:
		e.text(*known)
		return
	case *netip.Addr:
		e.addr(*known)
		return
	case *netip.Prefix:
		e.addr(known.Addr())
		e.number(uint64(known.Bits() + 1)) // Bits is -1 if the prefix is not valid
		return
	case *map[string]string:
		e.labels(*known)
		return
	}
	switch v.Kind() {
	case reflect.String:
		e.text(v.String())
	case reflect.Bool:
		e.flag(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.number(v.Uint())
	case reflect.Slice:
		e.number(uint64(v.Len()))
		for i := range v.Len() {
			e.value(v.Index(i))
		}
	case reflect.Pointer:
		e.flag(!v.IsNil())
		if !v.IsNil() {
			e.value(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			e.value(v.Field(i))
		}
	default:
		panic("no way to write a " + v.Type().String() + " of an engine's object: teach it to the encoder")
	}
}

func (e *encoder) number(n uint64) { e.buffer = binary.AppendUvarint(e.buffer, n) }

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	e.buffer = append(e.buffer, s...)
}

func (e *encoder) flag(b bool) {
	if b {
		e.buffer = append(e.buffer, 1)
	} else {
		e.buffer = append(e.buffer, 0)
	}
}

func (e *encoder) addr(a netip.Addr) {
	e.number(uint64(a.BitLen()))
	e.buffer = append(e.buffer, a.AsSlice()...)
	e.text(a.Zone())
}

func (e *encoder) labels(m map[string]string) {
	e.keys = e.keys[:0]
	for k := range m {
		e.keys = append(e.keys, k)
	}
	slices.Sort(e.keys)
	e.number(uint64(len(e.keys)))
	for _, k := range e.keys {
		e.text(k)
		e.text(m[k])
	}
}
