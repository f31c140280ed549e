// Command write writes reports of made-up clusters, to be looked at in a browser.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/netpold/netpold/test/report"
)

func main() {
	dir := flag.String("dir", ".", "folder to write to")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(dir string) error {
	for name, r := range report.Reports() {
		text, err := r()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".html"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
