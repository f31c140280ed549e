package server

import "strings"

// FieldError is a wrong value in a [Config]. A program that sets the fields from settings of its own can name those instead.
type FieldError struct {
	// Fields are the fields that are wrong, or wrong together.
	Fields []Field
	// Err says what is wrong and what to give.
	Err error
}

// Field is a field of a [Config], with its value.
type Field struct {
	// Name is the path from Config. Example: "TLS.Cert".
	Name string
	// Value is as the error shows it; empty if it is not shown.
	Value string
}

// Error returns the fields with their values, and what is wrong: "Config.MaxBatch 0: give 1 or more".
func (e *FieldError) Error() string {
	return e.Text(func(field string) string { return "Config." + field })
}

// Unwrap returns e.Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Text returns the error with each field called by what name returns for it.
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
