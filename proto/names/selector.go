package names

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Requirement is one condition of a selector of labels.
type Requirement struct {
	Key      string
	Operator Operator
	// Values are for In and NotIn, sorted and without repeats. "" is a value like others.
	Values []string
}

// An Operator relates a label to the values of a [Requirement]. NotIn and DoesNotExist match an object that
// lacks the key.
type Operator uint8

// The operators.
const (
	In Operator = iota
	NotIn
	Exists
	DoesNotExist
)

// selectorForms ends every error of [ParseSelector].
const selectorForms = `; write it as for kubectl's -l: "app=web,tier!=old", "app in (web, api)", "app notin (web)", ` +
	`"app" (has the label) or "!app" (has it not)`

// ParseSelector parses a selector of labels as kubectl's -l takes it. All requirements must match. Text
// without any requirement is an error: whoever means everything gives no selector. The operators > and <,
// which compare numbers, are not supported.
func ParseSelector(text string) ([]Requirement, error) {
	p := &selectorParser{rest: text}
	requirements, err := p.requirements()
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, selectorForms)
	}
	return requirements, nil
}

// A selectorParser reads a selector word by word.
type selectorParser struct{ rest string }

// symbols end a name.
const symbols = "=!(),<>"

// peek returns the next word without taking it: a symbol, an operator, or a name; "" at the end.
func (p *selectorParser) peek() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return ""
	}
	for _, symbol := range []string{"==", "!=", "=", "!", "(", ")", ",", "<", ">"} {
		if strings.HasPrefix(p.rest, symbol) {
			return symbol
		}
	}
	if end := strings.IndexAny(p.rest, symbols+" \t\r\n"); end >= 0 {
		return p.rest[:end]
	}
	return p.rest
}

// take returns the next word, and takes it.
func (p *selectorParser) take() string {
	word := p.peek()
	p.rest = p.rest[len(word):]
	return word
}

// isName reports whether a word can be a key or a value.
func isName(word string) bool { return word != "" && !strings.ContainsAny(word[:1], symbols) }

func (p *selectorParser) requirements() ([]Requirement, error) {
	var all []Requirement
	for {
		r, err := p.requirement()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
		switch word := p.take(); word {
		case "":
			return all, nil
		case ",":
		default:
			return nil, fmt.Errorf("after the condition on %q stands %q, where a comma or the end belongs", r.Key, word)
		}
	}
}

func (p *selectorParser) requirement() (Requirement, error) {
	var r Requirement
	negated := p.peek() == "!"
	if negated {
		p.take()
	}
	switch r.Key = p.take(); {
	case r.Key == "":
		return r, errors.New("a condition is missing at the end")
	case !isName(r.Key):
		return r, fmt.Errorf("there is %q where the key of a label belongs", r.Key)
	}
	if wrong := LabelKey(r.Key); wrong != "" {
		return r, fmt.Errorf("%q %s", r.Key, wrong)
	}
	if negated {
		r.Operator = DoesNotExist
		return r, nil
	}
	err := p.operation(&r)
	slices.Sort(r.Values)
	r.Values = slices.Compact(r.Values)
	for _, value := range r.Values {
		if wrong := LabelValue(value); wrong != "" && err == nil {
			err = fmt.Errorf("%q %s", value, wrong)
		}
	}
	return r, err
}

// operation reads what follows a key.
func (p *selectorParser) operation(r *Requirement) (err error) {
	switch word := p.peek(); word {
	case "", ",":
		r.Operator = Exists
		return nil
	case "=", "==", "!=":
		p.take()
		if word == "!=" {
			r.Operator = NotIn
		}
		r.Values, err = p.value(r.Key)
		return err
	case "in", "notin":
		p.take()
		if word == "notin" {
			r.Operator = NotIn
		}
		r.Values, err = p.values(r.Key)
		return err
	case "<", ">":
		return fmt.Errorf("%q compares numbers, which no selector of a policy does", word)
	default:
		return fmt.Errorf("after %q stands %q, where =, !=, in or notin belongs", r.Key, word)
	}
}

// value reads the one value after = or !=; nothing stands for "".
func (p *selectorParser) value(key string) ([]string, error) {
	switch word := p.peek(); {
	case word == "" || word == ",":
		return []string{""}, nil
	case !isName(word):
		return nil, fmt.Errorf("there is %q where the value of %q belongs", word, key)
	default:
		return []string{p.take()}, nil
	}
}

// values reads the list in brackets after in or notin. A missing value stands for "".
func (p *selectorParser) values(key string) ([]string, error) {
	if word := p.take(); word != "(" {
		return nil, fmt.Errorf("the values of %q belong in brackets", key)
	}
	var values []string
	for {
		value := ""
		if isName(p.peek()) {
			value = p.take()
		}
		values = append(values, value)
		switch word := p.take(); word {
		case ",":
		case ")":
			return values, nil
		case "":
			return nil, fmt.Errorf("the brackets after %q are not closed", key)
		default:
			return nil, fmt.Errorf("among the values of %q is %q, where a comma or a bracket belongs", key, word)
		}
	}
}
