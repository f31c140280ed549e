package report_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/netpold/netpold/test/report"
)

// pageColours are the backgrounds of both schemes.
var pageColours = map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(16, 21, 28)"}

// TestShots opens every made-up report in both colour schemes. With REPORT_SHOTS=FOLDER it does so in three
// widths and every view, and leaves pictures there for people to look at.
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
		widths := []int64{1280}
		if os.Getenv("REPORT_SHOTS") != "" {
			widths = []int64{360, 1280, 2560}
		}
		for _, width := range widths {
			for _, colours := range []string{"light", "dark"} {
				for view, fragment := range fragments {
					if view != "matrix" && (len(widths) == 1 || name != "list-12" && name != "diff") {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%d", name, view, colours, width), func(t *testing.T) {
						p := open(t, text, fragment, scheme(colours, width, min(width*9/16+500, 1300))...)
						p.waitFor("document.querySelector('#tabs [aria-selected=true]') !== null")
						got := eval[string](p, "getComputedStyle(document.body).backgroundColor")
						if got != pageColours[colours] {
							t.Errorf("the page is %s, want %s", got, pageColours[colours])
						}
						p.shoot(fmt.Sprintf("%s-%s-%s-%d", name, view, colours, width))
					})
				}
			}
		}
	}
}
