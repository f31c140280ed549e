package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
)

// Assertions counts the assertions in the Go sources of the suite's tests, by whether they expect a
// connection. Each is a call of PokeServer with a literal expectation and outside any loop, or an error.
func Assertions(sources fs.FS) (allowed, denied int, err error) {
	names, err := fs.Glob(sources, "tests/*.go")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(sources, name)
		if err != nil {
			return 0, 0, err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return 0, 0, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt, *ast.RangeStmt:
				err = fmt.Errorf("%s: a loop makes the number of assertions unknown", set.Position(n.Pos()))
			case *ast.CallExpr:
				f, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || f.Sel.Name != "PokeServer" {
					break
				}
				switch last, _ := n.Args[len(n.Args)-1].(*ast.Ident); {
				case last != nil && last.Name == "true":
					allowed++
				case last != nil && last.Name == "false":
					denied++
				default:
					err = fmt.Errorf("%s: the expectation is no literal", set.Position(n.Pos()))
				}
			}
			return err == nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return allowed, denied, nil
}
