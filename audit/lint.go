package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netpold/netpold/engine"
)

// MaxFindings is the number of findings of one lint, at most (A8).
const MaxFindings = 100_000

// LintRequest asks what is wrong with the policies. The zero LintRequest asks for everything but what
// annotations suppress.
type LintRequest struct {
	// Codes are those that are looked for; empty means all.
	Codes []Code
	// Namespaces are those that findings are in; empty means all, and cluster-wide policies.
	Namespaces []string
	// Least is the least severity; 0 means all.
	Least Severity
	// Suppressed reports whether findings that annotations suppress are wanted too.
	Suppressed bool
	// Invalid are the entries that S23 and S45 put out of force. The engine does not know them.
	Invalid []InvalidEntry
}

// InvalidEntry is an entry of a policy, or all of it, that is out of force (S23, S45).
type InvalidEntry struct {
	Policy engine.ObjectKey
	// Field is its path as the API server writes it; Message says what is wrong.
	Field, Message string
}

// Severity is how bad a [Finding] is.
type Severity uint8

// The severities.
const (
	// SeverityInfo is worth knowing.
	SeverityInfo Severity = 1 + iota
	// SeverityWarning is probably not meant.
	SeverityWarning
	// SeverityError means that something does not count.
	SeverityError
)

// Finding is one thing that is wrong, or worth knowing. Its indexes are -1 if it is not of such an entry.
type Finding struct {
	Code     Code
	Severity Severity
	// Policy is the policy. For Pods of no workload, Namespace alone is set; for a workload, neither.
	Policy engine.ObjectKey
	// Direction is 0 for a finding of no direction.
	Direction        Direction
	Rule, Peer, Port int
	// Workload and WorkloadNamespace name the workload, for a finding of its Pods.
	Workload          engine.Workload
	WorkloadNamespace string
	// Pods are the Pods by name, sorted.
	Pods []string
	// By are other rules that take part. For whole policies Direction is 0.
	By []Rule
	// Message is one sentence without the policy's name; Remedy says what to do.
	Message, Remedy string
	Suppressed      bool
	// Fingerprint is 16 hex digits: the same as long as the code, the policy's name and the entry's content
	// are (N3).
	Fingerprint string
}

// namespace returns the namespace that the finding is in; empty for a cluster-wide policy.
func (f *Finding) namespace() string { return cmp.Or(f.Policy.Namespace, f.WorkloadNamespace) }

// compare orders findings by namespace, name, code, direction and indexes.
func (f *Finding) compare(o *Finding) int {
	return cmp.Or(
		cmp.Compare(f.namespace(), o.namespace()), cmp.Compare(f.Policy.Name, o.Policy.Name),
		cmp.Compare(f.Policy.Kind, o.Policy.Kind), cmp.Compare(f.Code, o.Code),
		cmp.Compare(f.Direction, o.Direction), cmp.Compare(f.Rule, o.Rule), cmp.Compare(f.Peer, o.Peer),
		cmp.Compare(f.Port, o.Port), cmp.Compare(f.Workload.Kind, o.Workload.Kind),
		cmp.Compare(f.Workload.Name, o.Workload.Name), slices.Compare(f.Pods, o.Pods),
		cmp.Compare(f.Message, o.Message),
	)
}

// LintSummary counts findings. Suppressed ones count in Suppressed alone.
type LintSummary struct {
	Errors, Warnings, Infos, Suppressed int
	ByCode                              map[Code]int
}

// TooLargeError means that a result is larger than a limit.
type TooLargeError struct {
	// Field is what is too large; Limit and Actual count it.
	Field         string
	Limit, Actual int
}

// Error names the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: %d are more than the %d that are sent: ask for fewer codes or namespaces", e.Field,
		e.Actual, e.Limit)
}

// Lint looks for what is wrong with the policies of a snapshot and yields the findings in order: by namespace,
// name, code, direction and indexes. It stops if yield returns false.
//
// Everything is worked out before the first finding. Meanwhile pause, unless it is nil, is called again and
// again, and may block: between two calls is about a millisecond of work.
//
// Where a code says that something changes no verdict, it changes no policy verdict (A2) of any two ends of
// the snapshot, asked by name or by address (N1). The error is nil, a [*RequestError], a [*TooLargeError] or,
// once done is closed, that of [engine.Abandoned].
func Lint(
	done <-chan struct{}, s *engine.Snapshot, r *LintRequest, pause func(LintProgress), yield func(*Finding) bool,
) (LintSummary, error) {
	if err := r.validate(s); err != nil {
		return LintSummary{}, err
	}
	l := &linter{
		request: r, lintPace: &lintPace{done: done, pause: pause}, resolves: map[egressSide]bool{},
	}
	l.run(s)
	if l.isAbandoned() {
		return LintSummary{}, errAbandoned
	}
	slices.SortFunc(l.findings, func(a, b *Finding) int { return a.compare(b) })
	summary := LintSummary{ByCode: map[Code]int{}}
	sent := l.findings[:0]
	for _, f := range l.findings {
		summary.count(f)
		if !f.Suppressed || r.Suppressed {
			sent = append(sent, f)
		}
	}
	if len(sent) > MaxFindings {
		return LintSummary{}, &TooLargeError{"findings", MaxFindings, len(sent)}
	}
	for _, f := range sent {
		if !yield(f) {
			break
		}
	}
	return summary, nil
}

// count adds a finding.
func (s *LintSummary) count(f *Finding) {
	if f.Suppressed {
		s.Suppressed++
		return
	}
	switch f.Severity {
	case SeverityError:
		s.Errors++
	case SeverityWarning:
		s.Warnings++
	case SeverityInfo:
		s.Infos++
	}
	s.ByCode[f.Code]++
}

// validate returns what is wrong in the request.
func (r *LintRequest) validate(s *engine.Snapshot) error {
	for i, name := range r.Namespaces {
		_, ok := s.Object(engine.ObjectKey{Kind: engine.KindNamespace, Name: name})
		if !ok && len(s.ObjectsIn(name)) == 0 {
			return &RequestError{
				fmt.Sprintf("namespaces[%d]", i), engine.NotFound,
				fmt.Sprintf("there is no namespace %q: check its name", name),
			}
		}
	}
	for i, c := range r.Codes {
		if _, ok := codeInfo[c]; !ok {
			return &RequestError{
				fmt.Sprintf("codes[%d]", i), engine.InvalidQuestion,
				fmt.Sprintf("%q is no code of a finding: give one of %s", c, strings.Join(codeNames(), ", ")),
			}
		}
	}
	return nil
}

// A linter is one lint in progress.
type linter struct {
	*survey
	*lintPace
	request  *LintRequest
	findings []*Finding
	// covered are the rules that another one covers.
	covered map[*lintRule]bool
	// services has the Services that select Pods, by namespace; nil until one is asked for.
	services map[string][]*lintService
	// resolves remembers what reaches a DNS server; see [linter.allowsAny].
	resolves map[egressSide]bool
}

// run finds everything. What it has found does not count if the lint is abandoned.
func (l *linter) run(s *engine.Snapshot) {
	l.survey = newSurvey(s, l.lintPace)
	for _, e := range l.request.Invalid {
		l.invalidEntry(&e)
	}
	for _, p := range l.policies {
		if l.step() {
			return
		}
		if l.wantsNamespace(p.key.Namespace) {
			l.lintPolicy(p)
		}
	}
	l.lintCovered()
	if l.wants(RuleRedundant) || l.wants(RuleNeverReached) {
		l.progress.PoliciesTotal = len(l.policies)
		l.lintTierTrials()
		for i, p := range l.policies {
			if l.isAbandoned() {
				return
			}
			if p.np != nil {
				l.lintTrials(p)
			}
			l.progress.PoliciesDone = i + 1
		}
	}
	if l.wantsNamespace("") {
		l.lintTies()
	}
	l.lintIgnores()
	l.lintPods()
}

// wants reports whether findings of a code are asked for.
func (l *linter) wants(c Code) bool {
	return (len(l.request.Codes) == 0 || slices.Contains(l.request.Codes, c)) &&
		codeInfo[c].Severity >= l.request.Least
}

// wantsNamespace reports whether findings in a namespace are asked for.
func (l *linter) wantsNamespace(name string) bool {
	return len(l.request.Namespaces) == 0 || slices.Contains(l.request.Namespaces, name)
}

// add completes a finding and keeps it, if it is asked for. content is what the fingerprint is made of, beside
// the code and the policy's name.
func (l *linter) add(f Finding, content ...string) {
	if f.Severity == 0 {
		f.Severity = codeInfo[f.Code].Severity
	}
	if !l.wants(f.Code) || f.Severity < l.request.Least || !l.wantsNamespace(f.namespace()) {
		return
	}
	if f.Remedy == "" {
		f.Remedy = codeInfo[f.Code].Remedy
	}
	f.Suppressed = l.suppresses(&f)
	f.Fingerprint = fingerprint(&f, content)
	l.findings = append(l.findings, &f)
}

// suppresses reports whether an annotation of the policy or of its Namespace suppresses a finding (N2).
func (l *linter) suppresses(f *Finding) bool {
	return ignores(l.ignored[f.Policy], f.Code) ||
		ignores(l.ignored[engine.ObjectKey{Kind: engine.KindNamespace, Name: f.namespace()}], f.Code)
}

// lintIgnores finds words of annotations that are no code.
func (l *linter) lintIgnores() {
	for of, annotation := range l.ignored {
		f := Finding{Code: UnknownCodeIgnored, Policy: of, Rule: none, Peer: none, Port: none}
		if of.Kind == engine.KindNamespace {
			f.Policy = engine.ObjectKey{Kind: engine.KindPolicy, Namespace: of.Name}
		}
		for word := range strings.SplitSeq(annotation, ",") {
			word = strings.TrimSpace(word)
			if _, known := codeInfo[Code(word)]; known || word == "*" || word == "" {
				continue
			}
			f.Message = fmt.Sprintf("has netpold.dev/lint-ignore with %s, which is no code and suppresses nothing",
				Printable(word))
			l.add(f, word)
		}
	}
}

// ignores reports whether an annotation names a code, or all.
func ignores(annotation string, c Code) bool {
	for word := range strings.SplitSeq(annotation, ",") {
		if word = strings.TrimSpace(word); word == "*" || word == string(c) {
			return true
		}
	}
	return false
}
