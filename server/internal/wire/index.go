package wire

import "strconv"

// QuestionIndex is the index of a question in its batch, or [Alone] or [Within].
type QuestionIndex int

const (
	// Alone is the index of a question that is the whole request.
	Alone QuestionIndex = -1
	// Within is the index of the one question within another request, its field "question".
	Within QuestionIndex = -2
)

// Path returns the path of a field of the question from the root of the request. Example:
// "questions[3].dst.ip". An empty field is the question itself.
func (i QuestionIndex) Path(field string) string {
	if i == Alone {
		return field
	}
	question := "question"
	if i != Within {
		question = "questions[" + strconv.Itoa(int(i)) + "]"
	}
	if field == "" {
		return question
	}
	return question + "." + field
}
