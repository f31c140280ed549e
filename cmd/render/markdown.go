package render

import "strings"

// maxMarkdown is how long a comment at a code host may be.
const maxMarkdown = 60_000

// links has what code hosts make a link of by themselves.
var links = strings.NewReplacer("://", "&#58;//", "www.", "www&#46;", "WWW.", "WWW&#46;")

// markdown escapes what could be Markdown or HTML. The result is one line.
func markdown(text string) string {
	var b strings.Builder
	for _, r := range Clean(text) {
		switch r {
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
