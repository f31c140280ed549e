package manifests

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A shapeError is the error of a value of the wrong type.
type shapeError struct{ field, message string }

// shapeErrors returns an error for each part of a decoded value that does not fit a type. The decoder itself
// reports only the first, without indexes of lists.
func shapeErrors(value any, t reflect.Type) []shapeError {
	var s shapes
	s.check("", value, t)
	return s.errors
}

type shapes struct{ errors []shapeError }

func (s *shapes) reject(path, wanted string, value any) {
	s.errors = append(s.errors, shapeError{path,
		fmt.Sprintf("Invalid type: must be %s, not %s", wanted, named(value))})
}

// quoteHint ends the message about a value that YAML does not read as text.
const quoteHint = ": put it in quotes if it is meant as text"

// named returns a value in words.
func named(value any) string {
	switch v := value.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return fmt.Sprintf("the text %q", v)
	case bool:
		return fmt.Sprintf("%t", v) + quoteHint
	case json.Number:
		return fmt.Sprintf("the number %s", v) + quoteHint
	}
	return fmt.Sprint(value)
}

func (s *shapes) check(path string, value any, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil {
		return // null is the zero value of every type
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		s.checkOwn(path, value, t)
		return
	}
	switch t.Kind() {
	case reflect.Interface: // takes any value, which is checked later
	case reflect.Struct:
		s.checkStruct(path, value, t)
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			s.reject(path, "a mapping", value)
		}
		for _, k := range sortedKeys(object) {
			s.check(join(path, k), object[k], t.Elem())
		}
	case reflect.Slice:
		s.checkSlice(path, value, t)
	case reflect.String:
		if _, ok := value.(string); !ok {
			s.reject(path, "text", value)
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			s.reject(path, "true or false", value)
		}
	default:
		s.checkNumber(path, value, t)
	}
}

// checkOwn calls the type's own decoder.
func (s *shapes) checkOwn(path string, value any, t reflect.Type) {
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, reflect.New(t).Interface())
	}
	if err != nil {
		s.errors = append(s.errors, shapeError{path, "Invalid value: " + string(raw) + ": " + err.Error()})
	}
}

func (s *shapes) checkStruct(path string, value any, t reflect.Type) {
	object, ok := value.(map[string]any)
	if !ok {
		s.reject(path, "a mapping", value)
		return
	}
	fields := map[string]reflect.Type{}
	fieldsOf(t, fields)
	for _, k := range sortedKeys(object) {
		if field, ok := fields[k]; ok {
			s.check(join(path, k), object[k], field)
		}
	}
}

// fieldsOf stores the types of a struct's fields in to, by their names in JSON.
func fieldsOf(t reflect.Type, to map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name != "":
			to[name] = f.Type
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			fieldsOf(f.Type, to)
		}
	}
}

func (s *shapes) checkSlice(path string, value any, t reflect.Type) {
	if t.Elem().Kind() == reflect.Uint8 {
		if _, ok := value.(string); !ok {
			s.reject(path, "text in base64", value)
		}
		return
	}
	items, ok := value.([]any)
	if !ok {
		s.reject(path, "a list", value)
		return
	}
	for i, item := range items {
		s.check(path+"["+strconv.Itoa(i)+"]", item, t.Elem())
	}
}

func (s *shapes) checkNumber(path string, value any, t reflect.Type) {
	number, ok := value.(json.Number)
	if !ok {
		s.reject(path, "a number", value)
		return
	}
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		return
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if _, err := strconv.ParseInt(number.String(), 10, t.Bits()); err == nil {
			return
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if _, err := strconv.ParseUint(number.String(), 10, t.Bits()); err == nil {
			return
		}
	default:
		return
	}
	s.errors = append(s.errors, shapeError{path,
		fmt.Sprintf("Invalid type: must be a whole number of %d bits, not %s", t.Bits(), number)})
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
