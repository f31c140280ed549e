package server

import "strings"

// A FieldError is the error of invalid values in a [Config]. A program that sets the fields from its own
// settings can name those instead.
type FieldError struct {
	// Fields are the invalid fields, or fields that contradict each other.
	Fields []Field
	// Err says what is wrong and what to give.
	Err error
}

// A Field is a field of a [Config] with its value.
type Field struct {
	// Name is the path from Config. Example: "TLS.Cert".
	Name string
	// Value is the value in the error's form; empty if it is not shown.
	Value string
}

// Error returns the fields with their values, and what is wrong. Example: "Config.MaxBatch 0: give 1 or
// more".
func (e *FieldError) Error() string {
	return e.Text(func(field string) string { return "Config." + field })
}

// Unwrap returns e.Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Text returns the error with the names that name returns for the fields.
func (e *FieldError) Text(name func(field string) string) string {
	var b strings.Builder
	for i, field := range e.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name(field.Name))
		if field.Value != "" {
			b.WriteString(" " + field.Value)
		}
	}
	return b.String() + ": " + e.Err.Error()
}

// fieldError returns the error of one field.
func fieldError(name, value string, err error) error {
	return &FieldError{Fields: []Field{{Name: name, Value: value}}, Err: err}
}
