package html

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"strings"
)

// files are the parts of the page: plain HTML, CSS and JavaScript, put together here and by nothing else.
//
//go:embed page
var files embed.FS

// scripts and styles are joined in this order.
var (
	scripts = []string{
		"text.js", "ports.js", "data.js", "model.js", "filter.js", "states.js", "pairs.js", "axis.js", "marks.js",
		"matrix.js", "cursor.js", "tips.js", "details.js", "party.js", "graph.js", "list.js", "controls.js",
		"head.js", "start.js",
	}
	styles = []string{"colours.css", "page.css", "controls.css", "matrix.css", "views.css", "narrow.css",
		"print.css"}
)

// pageHead and pageTail are what stands before and after the data.
var pageHead, pageTail = halves()

// halves puts the page together and cuts it where the data goes. All of it is fixed when netpold is built.
func halves() (head, tail string) {
	script := "'use strict';\n" + joined(scripts)
	style := joined(styles)
	// "none" first: what is not named here is forbidden, requests of every kind among it.
	policy := "default-src 'none'; script-src " + source(script) + "; style-src " + source(style) +
		"; base-uri 'none'; form-action 'none'"
	page := strings.NewReplacer("{{policy}}", policy, "{{style}}", style, "{{script}}", script).
		Replace(joined([]string{"page.html"}))
	head, tail, _ = strings.Cut(page, "{{data}}\n")
	return head, tail
}

// joined returns the named parts as one text.
func joined(names []string) string {
	var b strings.Builder
	for _, name := range names {
		text, err := files.ReadFile("page/" + name)
		if err != nil {
			// The files are in the program: a missing one is a wrong name above, which every test finds.
			panic(fmt.Sprintf("html: %v", err))
		}
		b.Write(text)
	}
	return b.String()
}

// source is how a Content-Security-Policy names an inline text.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
