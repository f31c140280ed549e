package live

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/netpold/netpold/mirror"
	"github.com/netpold/netpold/mirror/convert"
)

const (
	// tokenKind distinguishes tokens from those of other mirrors, tokenFormat from those of other versions of
	// netpold.
	tokenKind   = 'l'
	tokenFormat = 1
	// manifestsKind begins the tokens of manifests.
	manifestsKind = 'm'
	// maxVersionLength is more than the number of digits of any resource version.
	maxVersionLength = 64
)

// TokenFor returns a token that is reached by every state with an object at a resource version or later.
// resource is plural, such as "networkpolicies". kubectl prints the resource version in the object's
// metadata.
func TokenFor(resource, resourceVersion string) (string, error) {
	_, r, ok := kindOf(resource)
	if !ok {
		var names []string
		for _, k := range convert.Kinds() {
			names = append(names, k.Resource)
		}
		return "", fmt.Errorf("resource %q plays no part in decisions: give one of %s", resource,
			strings.Join(names, ", "))
	}
	if _, ok := compareVersions(resourceVersion, ""); !ok {
		return "", fmt.Errorf("resource version %q of %s is none: give metadata.resourceVersion of an object as "+
			"the API server printed it", resourceVersion, resource)
	}
	var p positions
	p[r] = resourceVersion
	return p.token(), nil
}

// MergeTokens returns a token that is reached when all of the tokens are. It returns the errors of
// [Source.Wait].
func MergeTokens(tokens ...string) (string, error) {
	var all positions
	for _, t := range tokens {
		p, err := parseToken(t)
		if err != nil {
			return "", err
		}
		for i := range p {
			if newer, ok := compareVersions(p[i], all[i]); ok && newer > 0 {
				all[i] = p[i]
			}
		}
	}
	return all.token(), nil
}

// compareVersions compares two resource versions of one resource; an empty b is the oldest. It returns false
// if a is no resource version.
func compareVersions(a, b string) (int, bool) {
	if b == "" {
		b = "1"
	}
	if len(a) > maxVersionLength {
		return 0, false
	}
	newer, err := resourceversion.CompareResourceVersion(a, b)
	return newer, err == nil
}

// token encodes resource versions: for each the number of its resource, from 1, its length and its digits.
func (p positions) token() string {
	b := []byte{tokenKind, tokenFormat}
	for i, version := range p {
		if version != "" {
			b = append(append(b, byte(i+1), byte(len(version))), version...)
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var errTokenFormat = errors.New("give one that netpold gave, unchanged, or none")

func parseToken(s string) (positions, error) {
	var p positions
	if s == "" {
		return p, nil
	}
	malformed := func() (positions, error) {
		return positions{}, fmt.Errorf("%w %q: %w", mirror.ErrTokenMalformed, s, errTokenFormat)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 2 {
		return malformed()
	}
	switch {
	case b[0] == manifestsKind:
		return positions{}, fmt.Errorf("%w: it names a state of manifests, and this is a running cluster",
			mirror.ErrTokenUnknown)
	case b[0] == tokenKind && b[1] != tokenFormat:
		return positions{}, fmt.Errorf("%w: it is of another version of netpold", mirror.ErrTokenUnknown)
	case b[0] != tokenKind:
		return malformed()
	}
	for b = b[2:]; len(b) > 0; {
		if len(b) < 2 || len(b) < 2+int(b[1]) || b[0] < 1 || int(b[0]) > resourceCount || p[b[0]-1] != "" {
			return malformed()
		}
		version := string(b[2 : 2+b[1]])
		if _, ok := compareVersions(version, ""); !ok {
			return malformed()
		}
		p[b[0]-1] = version
		b = b[2+len(version):]
	}
	return p, nil
}

// ahead returns the resources in which p is newer than q.
func (p positions) ahead(q positions) []resourceIndex {
	var list []resourceIndex
	for i := range p {
		if newer, ok := compareVersions(p[i], q[i]); ok && (newer > 0 || q[i] == "") {
			list = append(list, resourceIndex(i))
		}
	}
	return list
}
