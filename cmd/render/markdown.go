package render

import (
	"regexp"
	"strings"
)

// maxMarkdown is how long a comment at a code host may be.
const maxMarkdown = 60_000

// links has what code hosts make a link of by themselves.
var links = strings.NewReplacer("://", "&#58;//", "www.", "www&#46;", "WWW.", "WWW&#46;")

// emoji matches the colon at the beginning of what code hosts make a picture of: :bee:, and that in 2001:bee::1.
var emoji = regexp.MustCompile(`^:[A-Za-z0-9_+-]+:`)

// markdown escapes what could be Markdown or HTML. The result is one line.
func markdown(text string) string {
	var b strings.Builder
	text = Clean(text)
	for i, r := range text {
		switch r {
		case ':':
			b.WriteByte(':')
			if emoji.MatchString(text[i:]) { // an escape would be undone before emojis are looked for
				b.WriteString("<span></span>")
			}
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '@': // names nobody
			b.WriteString("&#64;")
		case '\\', '`', '*', '_', '{', '}', '[', ']', '(', ')', '#', '+', '!', '|', '~', '$':
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return links.Replace(b.String())
}
