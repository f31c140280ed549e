package flows

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Format is how flow records are written.
type Format string

// The formats. Auto looks at the first line of the input.
const (
	Auto      Format = "auto"
	Hubble    Format = "hubble"
	JSONL     Format = "jsonl"
	CSV       Format = "csv"
	Decisions Format = "decisions"
)

// Formats returns all formats, Auto first.
func Formats() []Format { return []Format{Auto, Hubble, JSONL, CSV, Decisions} }

// Options say how to read an input. The zero value reads every format with its default column names.
type Options struct {
	// Format is Auto if empty.
	Format Format
	// Columns maps names of a record, such as "src", to columns of the input. A name that is mapped loses its
	// default columns. They count for JSONL and CSV alone.
	Columns map[string]string
	// Delimiter parts the cells of CSV; 0 is a comma.
	Delimiter rune
}

// An OptionError is a mistake in an option.
type OptionError struct {
	// Option is the option's name: "format", "columns" or "delimiter".
	Option string
	// Problem names the value and the remedy.
	Problem string
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Problem }

// ParseOptions reads options as a person writes them: the name of a format, columns as
// "name=column,name=column", and a delimiter of one character. "\t" and "tab" are the tabulator. Empty texts
// are the defaults. The error is an *OptionError.
func ParseOptions(format, columns, delimiter string) (Options, error) {
	o := Options{Format: Format(format)}
	if format == "" {
		o.Format = Auto
	}
	var err error
	if o.Columns, err = parseColumns(columns); err != nil {
		return Options{}, err
	}
	if o.Delimiter, err = parseDelimiter(delimiter); err != nil {
		return Options{}, err
	}
	return o, o.validate()
}

// validate returns an *OptionError if o contradicts itself or names what does not exist.
func (o Options) validate() error {
	if o.Format != "" && !slices.Contains(Formats(), o.Format) {
		return &OptionError{"format", fmt.Sprintf("%s is not a format; give one of %s",
			quoted(string(o.Format)), joined(Formats()))}
	}
	if len(o.Columns) > 0 && (o.Format == Hubble || o.Format == Decisions) {
		return &OptionError{"columns", fmt.Sprintf("the format %s has no columns to choose; leave them out, "+
			"or give format jsonl or csv", o.Format)}
	}
	if o.Delimiter != 0 && o.Format != "" && o.Format != Auto && o.Format != CSV {
		return &OptionError{"delimiter", fmt.Sprintf("the format %s has no delimiter; leave it out, "+
			"or give format csv", o.Format)}
	}
	switch o.Delimiter {
	case '"', '\r', '\n', utf8.RuneError:
		return &OptionError{"delimiter", fmt.Sprintf("%q cannot part cells; give another character, "+
			`such as ";" or "\t"`, o.Delimiter)}
	}
	for name, column := range o.Columns {
		if err := validateColumn(name, column); err != nil {
			return err
		}
	}
	return nil
}

func validateColumn(name, column string) error {
	switch {
	case columnNamed(name) < 0:
		return &OptionError{"columns", fmt.Sprintf("%s is not a name of a record; give NAME=COLUMN, NAME one of %s",
			quoted(name), strings.Join(columnNames[:], ", "))}
	case column == "":
		return &OptionError{"columns", fmt.Sprintf("no column for %s; give %s=COLUMN", name, name)}
	}
	return nil
}

func parseColumns(text string) (map[string]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	columns := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, column, ok := strings.Cut(part, "=")
		name, column = strings.TrimSpace(name), strings.TrimSpace(column)
		if !ok {
			return nil, &OptionError{"columns", fmt.Sprintf("%s has no \"=\"; give NAME=COLUMN,NAME=COLUMN",
				quoted(part))}
		}
		if err := validateColumn(name, column); err != nil {
			return nil, err
		}
		if _, twice := columns[name]; twice {
			return nil, &OptionError{"columns", fmt.Sprintf("%s is given twice; give it one column", name)}
		}
		columns[name] = column
	}
	return columns, nil
}

func parseDelimiter(text string) (rune, error) {
	switch text {
	case "":
		return 0, nil
	case `\t`, "tab":
		return '\t', nil
	}
	r, size := utf8.DecodeRuneInString(text)
	if size != len(text) {
		return 0, &OptionError{"delimiter", fmt.Sprintf("%s is longer than one character; give one, "+
			`such as ";" or "\t"`, quoted(text))}
	}
	return r, nil
}

func joined(formats []Format) string {
	var b strings.Builder
	for i, f := range formats {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(f))
	}
	return b.String()
}
