package audits

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// A cursor is a place in a list. As text it has an authentication code, so that nobody can guess or change
// one.
type cursor struct {
	list listID
	// position is how many groups and results come before it.
	position uint64
}

// A listID names a list that is or was in progress.
type listID [16]byte

// newListID returns an id that nobody can guess.
func newListID() listID {
	var id listID
	rand.Read(id[:])
	return id
}

// A cursorKey authenticates the cursors of one server.
type cursorKey [32]byte

func newCursorKey() cursorKey {
	var key cursorKey
	rand.Read(key[:])
	return key
}

const (
	bodyBytes   = len(listID{}) + 8
	codeBytes   = 16
	cursorBytes = bodyBytes + codeBytes
)

// encode returns c as text.
func (k *cursorKey) encode(c cursor) string {
	body := binary.BigEndian.AppendUint64(c.list[:], c.position)
	return base64.RawURLEncoding.EncodeToString(append(body, k.code(body)...))
}

// decode parses a text. formed reports whether some server could have made it, own whether this one did.
func (k *cursorKey) decode(text string) (c cursor, formed, own bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != cursorBytes {
		return cursor{}, false, false
	}
	body, code := raw[:bodyBytes], raw[bodyBytes:]
	if !hmac.Equal(code, k.code(body)) {
		return cursor{}, true, false
	}
	copy(c.list[:], body)
	c.position = binary.BigEndian.Uint64(body[len(c.list):])
	return c, true, true
}

func (k *cursorKey) code(body []byte) []byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write(body)
	return mac.Sum(nil)[:codeBytes]
}
