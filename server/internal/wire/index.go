package wire

import "strconv"

// QuestionIndex is the index of a question in its batch, or [Alone].
type QuestionIndex int

// Alone is the index of a question that is not in a batch.
const Alone QuestionIndex = -1

// Path returns the path of a field of the question from the root of the request. Example:
// "questions[3].dst.ip". An empty field is the question itself.
func (i QuestionIndex) Path(field string) string {
	if i == Alone {
		return field
	}
	question := "questions[" + strconv.Itoa(int(i)) + "]"
	if field == "" {
		return question
	}
	return question + "." + field
}
