// Package scenario reads scenario files: a cluster, questions about it, and the answers that the rules of
// docs/semantics.md give. test/scenarios describes the format. The package imports no testing, so that any
// program may run the files.
package scenario

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/netpold/netpold/engine"
)

// Scenario is one file.
type Scenario struct {
	// Name is the file's name without its ending: "s02-self".
	Name string
	// Comment is what the file says that it shows.
	Comment string
	// Rules are the rules that the comment opens with: "S2", "S24".
	Rules []string
	// Manifests are the cluster, at least one file.
	Manifests []Manifest
	Flags     Flags
	// Questions are to be asked in order. There are none when Problems are expected.
	Questions []Question
	// Problems are all that a start has to report when it refuses the manifests (S23).
	Problems []Problem
}

// Manifest is a file of Kubernetes objects.
type Manifest struct {
	Name string
	Data []byte
}

// Flags are how the manifests are read and decided.
type Flags struct {
	// Namespace is where objects go that name none. Default: "default".
	Namespace string
	// Switches are the flags of the meaning, in order, and Options what they make of the engine.
	Switches []string
	Options  engine.Options
	// IgnoreTiers is --policy-tiers=off (S31).
	IgnoreTiers bool
}

// switches are the flags of the meaning that a scenario may have.
var switches = map[string]func(*Flags){
	"--ipblock-matches-pods=false": func(f *Flags) { f.Options.IPBlockIgnoresPods = true },
	"--local-above-tiers":          func(f *Flags) { f.Options.LocalAboveTiers = true },
	"--own-node-exempt=false":      func(f *Flags) { f.Options.DecideOwnNode = true },
	"--own-service-exempt=false":   func(f *Flags) { f.Options.DecideOwnService = true },
	"--joined-directions":          func(f *Flags) { f.Options.JoinDirections = true },
	"--shared-ipblocks":            func(f *Flags) { f.Options.ShareBlocks = true },
	"--policies-enforced=false":    func(f *Flags) { f.Options.IgnorePolicies = true },
	"--policy-tiers=off":           func(f *Flags) { f.IgnoreTiers = true },
}

// Problem is a problem that a start has to report.
type Problem struct {
	// Kind, Namespace and Name tell the object.
	Kind, Namespace, Name string
	// Field is the path: "spec.ingress[0].from[0].ipBlock.cidr".
	Field string
	// Message is a part of the message; empty for any.
	Message string
}

var opening = regexp.MustCompile(`^(S\d+(?:, S\d+)*)\. `)

// Parse reads a scenario. name is the file's name, with or without a folder. The error tells the file's
// section and line.
func Parse(name string, data []byte) (*Scenario, error) {
	archive := txtar.Parse(data)
	s := &Scenario{Name: strings.TrimSuffix(path.Base(name), ".txtar"),
		Comment: strings.TrimSpace(string(archive.Comment))}
	rules := opening.FindStringSubmatch(s.Comment)
	if rules == nil {
		return nil, fmt.Errorf("%s: the comment does not begin with the rules that the file shows, as in %q", name,
			"S2, S24. ")
	}
	s.Rules = strings.Split(rules[1], ", ")
	var seen []string
	for _, file := range archive.Files {
		if slices.Contains(seen, file.Name) {
			return nil, fmt.Errorf("%s: section %q comes twice", name, file.Name)
		}
		seen = append(seen, file.Name)
		if err := s.section(file); err != nil {
			return nil, fmt.Errorf("%s: section %q: %w", name, file.Name, err)
		}
	}
	switch {
	case len(s.Manifests) == 0:
		return nil, fmt.Errorf("%s: no manifest: give the cluster in a section that ends in .yaml", name)
	case (len(s.Questions) == 0) == (len(s.Problems) == 0):
		return nil, fmt.Errorf("%s: give either questions or problems", name)
	}
	return s, nil
}

func (s *Scenario) section(file txtar.File) (err error) {
	switch {
	case file.Name == "questions":
		s.Questions, err = ParseQuestions(string(file.Data))
	case file.Name == "problems":
		s.Problems, err = parseProblems(string(file.Data))
	case file.Name == "flags":
		s.Flags, err = parseFlags(string(file.Data))
	case path.Ext(file.Name) == ".yaml" || path.Ext(file.Name) == ".json":
		if file.Name != path.Base(file.Name) {
			return errors.New("a manifest is in no folder")
		}
		s.Manifests = append(s.Manifests, Manifest{Name: file.Name, Data: file.Data})
	default:
		return errors.New("is none of *.yaml, *.json, flags, questions and problems")
	}
	return err
}

// lines calls read with every line that says something, and its number.
func lines(text string, read func(line string) error) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := read(line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

func parseFlags(text string) (Flags, error) {
	var flags Flags
	err := lines(text, func(line string) error {
		switch namespace, ok := strings.CutPrefix(line, "--namespace "); {
		case ok && namespace != "":
			flags.Namespace = namespace
		case switches[line] != nil:
			switches[line](&flags)
			flags.Switches = append(flags.Switches, line)
		default:
			return fmt.Errorf("%q is neither --namespace NAME nor one of %s", line,
				strings.Join(slices.Sorted(maps.Keys(switches)), ", "))
		}
		return nil
	})
	return flags, err
}

var problem = regexp.MustCompile(`^(\w+) (?:([^\s/]+)/)?([^\s/]+) (\S+):(?: (.+))?$`)

func parseProblems(text string) ([]Problem, error) {
	var problems []Problem
	err := lines(text, func(line string) error {
		p := problem.FindStringSubmatch(line)
		if p == nil {
			return fmt.Errorf("%q is neither KIND NAMESPACE/NAME FIELD: MESSAGE nor KIND NAME FIELD: MESSAGE", line)
		}
		problems = append(problems, Problem{Kind: p[1], Namespace: p[2], Name: p[3], Field: p[4], Message: p[5]})
		return nil
	})
	return problems, err
}
