package enginetest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// Text returns a value of the engine's on one line, much as Go would write it, without zero fields. Equal
// values give equal texts: the keys of maps are sorted.
func Text(v any) string {
	var b strings.Builder
	write(&b, reflect.ValueOf(v))
	return b.String()
}

// ObjectsText returns objects, one a line.
func ObjectsText(objects []engine.Object) string {
	var b strings.Builder
	for _, o := range objects {
		fmt.Fprintf(&b, "%s\n", Text(o))
	}
	return b.String()
}

// BatchesText returns batches of changes, one change a line, with an empty line between batches.
func BatchesText(batches [][]engine.Change) string {
	list := make([]string, len(batches))
	for i, batch := range batches {
		for _, c := range batch {
			verb := "apply "
			if c.Delete {
				verb = "delete "
			}
			list[i] += verb + Text(c.Object) + "\n"
		}
	}
	return strings.Join(list, "\n")
}

// write appends a value to b.
func write(b *strings.Builder, v reflect.Value) {
	if s, ok := v.Interface().(fmt.Stringer); ok && v.Kind() == reflect.Struct {
		b.WriteString(s.String()) // addresses and prefixes
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			b.WriteString("nil")
			return
		}
		b.WriteByte('&')
		write(b, v.Elem())
	case reflect.Struct:
		b.WriteString(v.Type().Name() + "{")
		separator := ""
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() || v.Field(i).IsZero() {
				continue
			}
			fmt.Fprintf(b, "%s%s: ", separator, v.Type().Field(i).Name)
			write(b, v.Field(i))
			separator = ", "
		}
		b.WriteByte('}')
	case reflect.Slice:
		b.WriteByte('{')
		for i := range v.Len() {
			if i > 0 {
				b.WriteString(", ")
			}
			write(b, v.Index(i))
		}
		b.WriteByte('}')
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return cmp.Compare(x.String(), y.String()) })
		b.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%q: ", k.String())
			write(b, v.MapIndex(k))
		}
		b.WriteByte('}')
	default:
		fmt.Fprintf(b, "%#v", v.Interface())
	}
}
