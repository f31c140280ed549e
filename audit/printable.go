package audit

import "strconv"

// Printable returns text as it may be shown on a terminal: as it is, if it is printable ASCII without spaces at
// its ends, and else quoted with escapes. It is quoted too if it is empty.
func Printable(text string) string {
	if text == "" || text[0] == ' ' || text[len(text)-1] == ' ' {
		return strconv.Quote(text)
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' {
			return strconv.QuoteToASCII(text)
		}
	}
	return text
}
