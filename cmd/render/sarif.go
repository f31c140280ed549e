package render

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/netpold/netpold/audit"
	netpoldv1 "github.com/netpold/netpold/proto/netpold/v1"
)

// The parts of SARIF 2.1.0 that are written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool            `json:"tool"`
		ColumnKind string               `json:"columnKind"`
		BaseIDs    map[string]sarifBase `json:"originalUriBaseIds,omitempty"`
		Results    []sarifResult        `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID                   string            `json:"id"`
		ShortDescription     sarifText         `json:"shortDescription"`
		FullDescription      sarifText         `json:"fullDescription"`
		Help                 sarifText         `json:"help"`
		DefaultConfiguration map[string]string `json:"defaultConfiguration"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine uint32 `json:"startLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind string `json:"kind"`
	}
)

// sarifLevels are the levels of severities.
var sarifLevels = map[string]string{"error": "error", "warning": "warning", "info": "note"}

// SARIF writes findings as SARIF 2.1.0 with one run. version is netpold's.
func SARIF(out io.Writer, l *Lint, version string) error {
	codes, infos := audit.Codes()
	driver := sarifDriver{Name: "netpold", Version: version}
	index := map[string]int{}
	for i, c := range codes {
		info := infos[c]
		index[string(c)] = i
		driver.Rules = append(driver.Rules, sarifRule{
			ID: string(c), ShortDescription: sarifText{info.Title}, FullDescription: sarifText{info.Help},
			Help:                 sarifText{info.Help + " " + info.Remedy},
			DefaultConfiguration: map[string]string{"level": sarifLevels[info.Severity.String()]},
		})
	}
	results, bases := []sarifResult{}, newSarifBases(l.Header.GetSource())
	for _, f := range l.Findings {
		r := sarifResult{
			RuleID: f.GetCode(), RuleIndex: -1, Level: sarifLevels[SeverityWord(f.GetSeverity())],
			Message:             sarifText{Clean(sarifMessage(f))},
			Locations:           []sarifLocation{bases.locationOf(f)},
			PartialFingerprints: map[string]string{"netpold/v1": f.GetFingerprint()},
		}
		if at, ok := index[f.GetCode()]; ok {
			r.RuleIndex = at
		}
		if f.GetSuppressed() {
			r.Suppressions = []sarifSuppression{{"inSource"}}
		}
		results = append(results, r)
	}
	text, err := json.MarshalIndent(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{Tool: sarifTool{driver}, ColumnKind: "utf16CodeUnits", BaseIDs: bases.bases, Results: results}},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing SARIF: %w", err)
	}
	if _, err := out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing SARIF: %w", err)
	}
	return nil
}

// sarifMessage is the finding in sentences.
func sarifMessage(f *netpoldv1.Finding) string {
	text := FindingSubject(f)
	if at := findingEntry(f); at != "" {
		text += " " + at
	}
	return text + ": " + f.GetMessage() + ". " + f.GetRemedy()
}

// locationOf returns where a finding is: the document of its policy, or the name of what it is about.
func (b *sarifBases) locationOf(f *netpoldv1.Finding) sarifLocation {
	p := f.GetPolicy()
	if file := p.GetFile(); file != "" {
		return sarifLocation{Physical: &sarifPhysical{
			Artifact: b.locate(file), Region: sarifRegion{max(1, p.GetLine())},
		}}
	}
	name := p.GetKind() + "/" + p.GetNamespace() + "/" + p.GetName()
	switch w := f.GetWorkload(); {
	case w != nil:
		name = w.GetKind() + "/" + w.GetNamespace() + "/" + w.GetName()
	case p.GetName() == "" && len(f.GetPods()) > 0:
		name = "Pod/" + p.GetNamespace() + "/" + f.GetPods()[0]
	case p.GetName() == "":
		name = "Namespace/" + p.GetNamespace()
	case p.GetNamespace() == "":
		name = p.GetKind() + "/" + p.GetName()
	}
	return sarifLocation{Logical: []sarifLogical{{Clean(name)}}}
}
