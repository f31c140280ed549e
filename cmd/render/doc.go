// Package render writes what audits found in the forms that people and programs read: tables, CSV, Graphviz's
// dot and SVG. It takes messages of the wire, so that a server's answer and the command's own look the same.
//
// Every form shows names as data: control characters, marks that change the direction of text, and whatever
// else a form would take for its own syntax are escaped.
package render
