package report_test

import (
	"fmt"
	"testing"

	"github.com/netpold/netpold/test/report"
)

// TestShots opens every made-up report in both schemes and three widths. With REPORT_SHOTS=FOLDER it leaves
// pictures there; without, it still finds pages that say something on the console.
func TestShots(t *testing.T) {
	fragments := map[string]string{
		"matrix": "sel=shop%2FDeployment%2Fcart&to=shop%2FDeployment%2Fcheckout",
		"graph":  "view=graph&sel=shop%2FDeployment%2Fcart",
		"list":   "view=list",
	}
	for name, write := range report.Reports() {
		text, err := write()
		if err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{360, 1280, 2560} {
			for _, colours := range []string{"light", "dark"} {
				for view, fragment := range fragments {
					if view != "matrix" && name != "list-12" && name != "diff" {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%d", name, view, colours, width), func(t *testing.T) {
						p := open(t, text, fragment, scheme(colours, width, min(width*9/16+500, 1300))...)
						p.waitFor("document.title.startsWith('Wh')")
						p.shoot(fmt.Sprintf("%s-%s-%s-%d", name, view, colours, width))
					})
				}
			}
		}
	}
}
